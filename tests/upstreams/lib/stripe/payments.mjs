import { newId, randomText } from './account.mjs';
import { invalid } from './errors.mjs';

/// Payments, refunds and disputes; which cards are declined is for the account to know.

/// A payment intent that has succeeded, or waits for another payment method.
export function charge(
  account,
  { amount, currency, customer = null, methodId = null, metadata = {}, description = null },
) {
  const isDeclined = methodId === null || account.declining.has(methodId);
  const id = newId('pi');
  const intent = account.create(
    account.paymentIntents,
    {
      id,
      object: 'payment_intent',
      amount,
      amount_capturable: 0,
      amount_details: { tip: {} },
      amount_received: isDeclined ? 0 : amount,
      application: null,
      application_fee_amount: null,
      automatic_payment_methods: null,
      canceled_at: null,
      cancellation_reason: null,
      capture_method: 'automatic',
      client_secret: `${id}_secret_${randomText(24)}`,
      confirmation_method: 'automatic',
      created: account.now,
      currency,
      customer,
      description,
      last_payment_error: isDeclined
        ? {
            code: 'card_declined',
            decline_code: 'generic_decline',
            message: 'Your card was declined.',
            type: 'card_error',
          }
        : null,
      latest_charge: isDeclined ? null : newId('ch'),
      livemode: false,
      metadata,
      next_action: null,
      on_behalf_of: null,
      payment_method: isDeclined ? null : methodId,
      payment_method_options: {},
      payment_method_types: ['card'],
      processing: null,
      receipt_email: null,
      review: null,
      setup_future_usage: null,
      shipping: null,
      source: null,
      statement_descriptor: null,
      statement_descriptor_suffix: null,
      status: isDeclined ? 'requires_payment_method' : 'succeeded',
      transfer_data: null,
      transfer_group: null,
    },
    'payment_intent.created',
  );
  account.emit(isDeclined ? 'payment_intent.payment_failed' : 'payment_intent.succeeded', intent);
  return intent;
}

export function refund(account, { payment_intent: id, amount, reason, metadata }) {
  const intent = account.paymentIntents.get(id, 'payment_intent');
  const earlier = account.refunds.all
    .filter((each) => each.payment_intent === id)
    .reduce((sum, each) => sum + each.amount, 0);
  const left = intent.amount_received - earlier;
  if (left === 0)
    throw invalid('Charge has already been refunded.', undefined, 'charge_already_refunded');
  if ((amount ?? left) > left) {
    throw invalid(
      `Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`,
      'amount',
    );
  }
  const made = account.create(
    account.refunds,
    {
      id: newId('re'),
      object: 'refund',
      amount: amount ?? left,
      balance_transaction: null,
      charge: intent.latest_charge,
      created: account.now,
      currency: intent.currency,
      metadata: metadata ?? {},
      payment_intent: id,
      reason: reason ?? null,
      receipt_number: null,
      source_transfer_reversal: null,
      status: 'succeeded',
      transfer_reversal: null,
    },
    'refund.created',
  );
  account.emit('charge.refunded', chargeOf(account, intent));
  return made;
}

/// The bank did not take the money: it is ours again.
export function failRefund(account, made) {
  account.update(made, 'refund.failed', { status: 'failed', failure_reason: 'unknown' });
  account.emit('charge.refund.updated', made);
  return made;
}

/// The card's owner does not want to have paid; until it is closed, the bank has the money.
export function dispute(account, { payment_intent: id, amount, status = 'needs_response' }) {
  const intent = account.paymentIntents.get(id, 'payment_intent');
  const made = account.create(
    account.disputes,
    {
      id: newId('du'),
      object: 'dispute',
      amount: amount ?? intent.amount_received,
      charge: intent.latest_charge,
      created: account.now,
      currency: intent.currency,
      is_charge_refundable: false,
      livemode: false,
      metadata: {},
      payment_intent: id,
      reason: 'fraudulent',
      status,
    },
    'charge.dispute.created',
  );
  if (!status.startsWith('warning_')) account.emit('charge.dispute.funds_withdrawn', made);
  return made;
}

export function closeDispute(account, made, status) {
  account.update(made, 'charge.dispute.closed', { status });
  if (status === 'won') account.emit('charge.dispute.funds_reinstated', made);
  return made;
}

function chargeOf(account, intent) {
  const refunded = account.refunds.all
    .filter((each) => each.payment_intent === intent.id)
    .reduce((sum, each) => sum + each.amount, 0);
  return {
    id: intent.latest_charge,
    object: 'charge',
    amount: intent.amount,
    amount_captured: intent.amount_received,
    amount_refunded: refunded,
    captured: true,
    created: intent.created,
    currency: intent.currency,
    customer: intent.customer,
    description: intent.description,
    disputed: account.disputes.all.some((each) => each.payment_intent === intent.id),
    livemode: false,
    metadata: intent.metadata,
    paid: true,
    payment_intent: intent.id,
    payment_method: intent.payment_method,
    refunded: refunded === intent.amount_received,
    status: 'succeeded',
  };
}
