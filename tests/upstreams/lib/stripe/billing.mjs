import { isMetered } from './catalogue.mjs';
import { cardDeclined, invalid } from './errors.mjs';
import { collect, createInvoice, finalize } from './invoices.mjs';

/// What the periods of a subscription cost, and who pays.

const linesOf = (account, { items }, amountOf) =>
  items.data.map((item) => ({
    item,
    price: item.price,
    quantity: item.quantity ?? 0,
    amount: amountOf(item),
    description: `${item.quantity ?? 0} × ${account.products.find(item.price.product).name}`,
    period: { start: item.current_period_start, end: item.current_period_end },
  }));

const licensed = ({ price, quantity }) => (isMetered(price) ? 0 : price.unit_amount * quantity);

/// The customer's payment method that a subscription charges.
export const methodFor = (account, subscription) =>
  subscription.default_payment_method
  ?? account.customers.find(subscription.customer).invoice_settings.default_payment_method;

/// Adds the subscription and bills its first period, which decides whether it is active at once or
/// waits, incomplete, for a payment.
export function start(account, subscription, customer, behavior = 'allow_incomplete') {
  const method = methodFor(account, subscription);
  const isTrial = subscription.status === 'trialing';
  const lines = linesOf(account, subscription, isTrial ? () => 0 : licensed);
  const isDue = lines.some(({ amount }) => amount > 0);
  const charges = subscription.collection_method === 'charge_automatically';
  if (isDue && charges && !method && behavior !== 'default_incomplete') {
    throw invalid(
      'This customer has no attached payment source or default payment method. Please consider adding a '
        + 'default payment method. For more information, visit https://stripe.com/docs/billing/payment-methods-setup.',
      undefined,
      'resource_missing',
    );
  }
  const fails = isDue && charges && (!method || account.declining.has(method));
  if (fails && behavior === 'error_if_incomplete') throw cardDeclined();
  if (fails) subscription.status = 'incomplete';
  account.create(account.subscriptions, subscription, 'customer.subscription.created');
  bill(account, subscription, customer, lines, 'subscription_create', method);
}

/// Bills the period that begins and the usage of the one that ends; says whether that was paid.
export function billPeriod(account, subscription, customer) {
  const lines = linesOf(account, subscription, (item) =>
    isMetered(item.price) ? usageAmount(account, subscription, item) : licensed(item),
  );
  const method = methodFor(account, subscription);
  return bill(account, subscription, customer, lines, 'subscription_cycle', method);
}

function bill(account, subscription, customer, lines, reason, method) {
  const invoice = createInvoice(account, customer, {
    lines,
    reason,
    subscription,
    currency: subscription.currency,
  });
  finalize(account, invoice);
  subscription.latest_invoice = invoice.id;
  return subscription.collection_method === 'send_invoice' || collect(account, invoice, method);
}

// A negative total bills nothing; fractions of a minor unit are rounded off.
function usageAmount(
  account,
  { customer },
  { price, current_period_start: from, current_period_end: to },
) {
  const meter = account.meters.find(price.recurring.meter);
  const usage = meter ? Number(account.meters.usage(meter, customer, from, to)) : 0;
  return Math.max(0, Math.round(usage * Number(price.unit_amount_decimal)));
}
