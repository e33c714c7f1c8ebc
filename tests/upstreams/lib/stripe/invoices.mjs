import { newId } from './account.mjs';
import { invalid } from './errors.mjs';
import { charge } from './payments.mjs';

/// Invoices: drafted, finalized, settled.

/// Lines are [{amount, quantity, description, price?, period, item?}]. A draft until finalized.
export function createInvoice(
  account,
  customer,
  { lines, reason = 'manual', subscription, currency = 'usd', description },
) {
  const id = newId('in');
  const { now } = account;
  const total = lines.reduce((sum, { amount }) => sum + amount, 0);
  const parent = subscription && {
    quote_details: null,
    subscription_details: { metadata: subscription.metadata, subscription: subscription.id },
    type: 'subscription_details',
  };
  return account.create(
    account.invoices,
    {
      id,
      object: 'invoice',
      account_country: 'US',
      account_name: 'Stand-in',
      account_tax_ids: null,
      amount_due: Math.max(total, 0),
      amount_overpaid: 0,
      amount_paid: 0,
      amount_remaining: Math.max(total, 0),
      amount_shipping: 0,
      application: null,
      attempt_count: 0,
      attempted: false,
      auto_advance: true,
      automatic_tax: {
        disabled_reason: null,
        enabled: false,
        liability: null,
        provider: null,
        status: null,
      },
      automatically_finalizes_at: now + 3600,
      billing_reason: reason,
      collection_method: 'charge_automatically',
      created: now,
      currency,
      custom_fields: null,
      customer: customer.id,
      customer_address: customer.address,
      customer_email: customer.email,
      customer_name: customer.name,
      customer_phone: customer.phone,
      customer_shipping: null,
      customer_tax_exempt: 'none',
      customer_tax_ids: [],
      default_payment_method: null,
      default_source: null,
      default_tax_rates: [],
      description: description ?? null,
      discounts: [],
      due_date: null,
      effective_at: null,
      ending_balance: null,
      footer: null,
      from_invoice: null,
      hosted_invoice_url: null,
      invoice_pdf: null,
      issuer: { type: 'self' },
      last_finalization_error: null,
      latest_revision: null,
      lines: {
        object: 'list',
        data: lines.map((line) => lineItem(line, id, currency, subscription)),
        has_more: false,
        total_count: lines.length,
        url: `/v1/invoices/${id}/lines`,
      },
      livemode: false,
      metadata: {},
      next_payment_attempt: null,
      number: null,
      on_behalf_of: null,
      parent: parent ?? null,
      payment_settings: {
        default_mandate: null,
        payment_method_options: null,
        payment_method_types: null,
      },
      period_end: now,
      period_start: now,
      post_payment_credit_notes_amount: 0,
      pre_payment_credit_notes_amount: 0,
      receipt_number: null,
      rendering: null,
      shipping_cost: null,
      shipping_details: null,
      starting_balance: 0,
      statement_descriptor: null,
      status: 'draft',
      status_transitions: {
        finalized_at: null,
        marked_uncollectible_at: null,
        paid_at: null,
        voided_at: null,
      },
      subtotal: total,
      subtotal_excluding_tax: total,
      test_clock: null,
      total,
      total_discount_amounts: [],
      total_excluding_tax: total,
      total_pretax_credit_amounts: [],
      total_taxes: [],
      webhooks_delivered_at: null,
    },
    'invoice.created',
  );
}

function lineItem(
  { amount, quantity, description, price, period, item },
  invoice,
  currency,
  subscription,
) {
  return {
    id: newId('il'),
    object: 'line_item',
    amount,
    currency,
    description: description ?? null,
    discount_amounts: [],
    discountable: true,
    discounts: [],
    invoice,
    livemode: false,
    metadata: {},
    parent: item
      ? {
          invoice_item_details: null,
          subscription_item_details: {
            invoice_item: null,
            proration: false,
            proration_details: { credited_items: null },
            subscription: subscription.id,
            subscription_item: item.id,
          },
          type: 'subscription_item_details',
        }
      : null,
    period,
    pretax_credit_amounts: [],
    pricing: price
      ? {
          price_details: { price: price.id, product: price.product },
          type: 'price_details',
          unit_amount_decimal: price.unit_amount_decimal,
        }
      : null,
    quantity: quantity ?? null,
    subscription: subscription?.id ?? null,
    taxes: [],
  };
}

export function finalize(account, invoice) {
  if (invoice.status !== 'draft')
    throw invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.");
  const customer = account.customers.find(invoice.customer);
  const sequence = customer.next_invoice_sequence;
  customer.next_invoice_sequence += 1;
  return account.update(invoice, 'invoice.finalized', {
    automatically_finalizes_at: null,
    effective_at: account.now,
    ending_balance: 0,
    hosted_invoice_url: `${account.url}/i/${invoice.id}`,
    invoice_pdf: `${account.url}/i/${invoice.id}/pdf`,
    number: `${customer.invoice_prefix}-${String(sequence).padStart(4, '0')}`,
    status: 'open',
    status_transitions: { ...invoice.status_transitions, finalized_at: account.now },
  });
}

/// Nobody is to pay it any more.
export const annul = (account, invoice) => close(account, invoice, 'void', 'voided');
/// It is still owed, but nothing is tried any more.
export const writeOff = (account, invoice) =>
  close(account, invoice, 'uncollectible', 'marked_uncollectible');

function close(account, invoice, status, transition) {
  if (!['open', 'uncollectible'].includes(invoice.status))
    throw invalid(`You can only do this to an open invoice; this one is ${invoice.status}.`);
  return account.update(invoice, `invoice.${transition}`, {
    auto_advance: false,
    next_payment_attempt: null,
    status,
    status_transitions: { ...invoice.status_transitions, [`${transition}_at`]: account.now },
  });
}

/// Tries to settle an open invoice; says whether that worked. Without a working payment method it
/// stays open.
export function collect(account, invoice, methodId) {
  if (invoice.amount_due > 0) {
    const customer = account.customers.find(invoice.customer);
    const intent = charge(account, {
      amount: invoice.amount_due,
      currency: invoice.currency,
      customer: customer.id,
      methodId,
    });
    Object.assign(invoice, {
      attempted: true,
      attempt_count: invoice.attempt_count + 1,
      auto_advance: false,
    });
    if (intent.status !== 'succeeded') {
      account.update(customer, 'customer.updated', { delinquent: true });
      Object.assign(invoice, {
        auto_advance: true,
        next_payment_attempt: account.now + 3 * 86_400,
      });
      account.emit('invoice.payment_failed', invoice);
      return false;
    }
    account.update(customer, 'customer.updated', { delinquent: false });
  }
  Object.assign(invoice, {
    amount_paid: invoice.amount_due,
    amount_remaining: 0,
    attempted: true,
    auto_advance: false,
    next_payment_attempt: null,
    status: 'paid',
    status_transitions: { ...invoice.status_transitions, paid_at: account.now },
  });
  account.emit('invoice.paid', invoice);
  account.emit('invoice.payment_succeeded', invoice);
  return true;
}
