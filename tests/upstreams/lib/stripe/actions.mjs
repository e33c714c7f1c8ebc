import { methodFor } from './billing.mjs';
import { complete, expire, sessionOf } from './checkout.mjs';
import { attach, createCard, detach } from './customers.mjs';
import { annul, collect, createInvoice, finalize, writeOff } from './invoices.mjs';
import { closeDispute, dispute, failRefund, refund } from './payments.mjs';
import { cancel, renew } from './subscriptions.mjs';

/// What people, banks and time do to an account: the commands of POST /actions, {name: value}. Each
/// answers the object it has changed.

const active = (account, customer) =>
  account.subscriptions.all.findLast(
    (each) =>
      each.customer === customer && !['canceled', 'incomplete_expired'].includes(each.status),
  );

/// Of what is given as {payment_intent} or {session}.
const payment = (account, { session, payment_intent: intent, ...more }) => ({
  payment_intent: intent ?? account.sessions.get(session).payment_intent,
  ...more,
});

export const ACTIONS = {
  /// A session's id, or {session, card?, email?, name?}: the person pays.
  complete(account, given) {
    const { session, ...more } = typeof given === 'string' ? { session: given } : given;
    return complete(account, sessionOf(account, session), more);
  },

  expire: (account, id) => expire(account, sessionOf(account, id)),

  /// {customer, card?}: the customer gets a card and it becomes the default one.
  addCard(account, { customer: id, card = 'pm_card_visa' }) {
    const customer = account.customers.get(id);
    const method = attach(account, createCard(account, card), customer);
    account.update(customer, 'customer.updated', {
      invoice_settings: { ...customer.invoice_settings, default_payment_method: method.id },
    });
    return method;
  },

  detach: (account, id) => detach(account, account.paymentMethods.get(id)),
  cancel: (account, id) => cancel(account, account.subscriptions.get(id)),

  /// The subscription's next period begins, with its invoice; one that was to end ends.
  renew: (account, id) => renew(account, account.subscriptions.get(id)),

  /// The customer's subscription renews while the card is declined, and becomes past due.
  failPayment(account, id) {
    const subscription = active(account, account.customers.get(id).id);
    if (!subscription) throw new TypeError(`${id} has no subscription to pay`);
    const method = methodFor(account, subscription);
    const isNew = method && !account.declining.has(method);
    if (isNew) account.declining.add(method);
    try {
      return renew(account, subscription);
    } finally {
      if (isNew) account.declining.delete(method);
    }
  },

  /// A payment method's id: its charges are declined from now on.
  decline(account, id) {
    account.declining.add(account.paymentMethods.get(id).id);
    return account.paymentMethods.get(id);
  },

  /// {session | payment_intent, amount?}: all that is left unless an amount is given.
  refund: (account, given) => refund(account, payment(account, given)),
  failRefund: (account, id) => failRefund(account, account.refunds.get(id)),

  /// {session | payment_intent, amount?, status?}
  dispute: (account, given) => dispute(account, payment(account, given)),
  /// {dispute, status: won | lost}
  closeDispute: (account, { dispute: id, status }) =>
    closeDispute(account, account.disputes.get(id), status),

  /// {customer, amount, subscription?, currency?, description?, status?: draft | open | paid}
  invoice(
    account,
    { customer: id, amount, subscription, currency = 'usd', description = 'Services', status = 'draft' },
  ) {
    if (!Number.isInteger(amount)) throw new TypeError('an invoice needs an amount in minor units');
    const customer = account.customers.get(id);
    const period = { start: account.now, end: account.now };
    const invoice = createInvoice(account, customer, {
      lines: [{ amount, quantity: 1, description, period }],
      subscription: subscription && account.subscriptions.get(subscription),
      currency,
      description,
    });
    if (status !== 'draft') finalize(account, invoice);
    if (status === 'paid') collect(account, invoice, createCard(account).id);
    return invoice;
  },

  finalizeInvoice: (account, id) => finalize(account, account.invoices.get(id)),
  /// {invoice, card?}: somebody pays it, or with a card that declines fails to.
  payInvoice(account, { invoice, card = 'pm_card_visa' }) {
    collect(account, account.invoices.get(invoice), createCard(account, card).id);
    return account.invoices.get(invoice);
  },
  voidInvoice: (account, id) => annul(account, account.invoices.get(id)),
  writeOffInvoice: (account, id) => writeOff(account, account.invoices.get(id)),
};
