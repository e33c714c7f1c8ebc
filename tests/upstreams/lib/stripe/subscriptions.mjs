import { copy, newId } from './account.mjs';
import { billPeriod, start } from './billing.mjs';
import { isMetered } from './catalogue.mjs';
import { addInterval } from './clock.mjs';
import { ownMethod } from './customers.mjs';
import { invalid } from './errors.mjs';
import { mergeMetadata } from './params.mjs';

/// Subscriptions in the form of basil: the period is on the items only.

export function createSubscription(account, given) {
  const customer = account.customers.get(given.customer, 'customer');
  if (!given.items?.length)
    throw invalid('Missing required param: items.', 'items', 'parameter_missing');
  const method = given.default_payment_method ?? null;
  if (method) ownMethod(account, method, customer, 'default_payment_method');
  const { now } = account;
  const id = newId('sub');
  const items = given.items.map((item, index) =>
    subscriptionItem(account, id, item, `items[${index}][price]`),
  );
  const trialEnd = given.trial_period_days ? now + given.trial_period_days * 86_400 : null;
  if (trialEnd) for (const item of items) item.current_period_end = trialEnd;
  const subscription = {
    id,
    object: 'subscription',
    application: null,
    application_fee_percent: null,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null },
    billing_cycle_anchor: now,
    billing_cycle_anchor_config: null,
    billing_mode: { type: 'classic' },
    billing_thresholds: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { comment: null, feedback: null, reason: null },
    collection_method: given.collection_method ?? 'charge_automatically',
    created: now,
    currency: items[0].price.currency,
    customer: customer.id,
    days_until_due: given.days_until_due ?? null,
    default_payment_method: method,
    default_source: null,
    default_tax_rates: [],
    description: given.description ?? null,
    discounts: [],
    ended_at: null,
    invoice_settings: { account_tax_ids: null, issuer: { type: 'self' } },
    items: {
      object: 'list',
      data: items,
      has_more: false,
      total_count: items.length,
      url: `/v1/subscription_items?subscription=${id}`,
    },
    latest_invoice: null,
    livemode: false,
    metadata: mergeMetadata({}, given.metadata),
    next_pending_invoice_item_invoice: null,
    on_behalf_of: null,
    pause_collection: null,
    payment_settings: {
      payment_method_options: null,
      payment_method_types: null,
      save_default_payment_method: 'off',
    },
    pending_invoice_item_interval: null,
    pending_setup_intent: null,
    pending_update: null,
    schedule: null,
    start_date: now,
    status: trialEnd ? 'trialing' : 'active',
    test_clock: null,
    transfer_data: null,
    trial_end: trialEnd,
    trial_settings: { end_behavior: { missing_payment_method: 'create_invoice' } },
    trial_start: trialEnd && now,
  };
  start(account, subscription, customer, given.payment_behavior);
  if (given.cancel_at_period_end)
    updateSubscription(account, subscription, { cancel_at_period_end: true });
  return subscription;
}

function subscriptionItem(account, subscription, { price: id, quantity, metadata }, param) {
  const price = account.prices.get(id, param);
  if (!price.recurring) {
    throw invalid(
      'The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.',
      param,
    );
  }
  if (isMetered(price) && quantity !== undefined) {
    throw invalid(
      'Quantity should not be specified where usage_type is `metered`.',
      param.replace('price', 'quantity'),
    );
  }
  return {
    id: newId('si', 14),
    object: 'subscription_item',
    billing_thresholds: null,
    created: account.now,
    current_period_end: addInterval(account.now, price.recurring),
    current_period_start: account.now,
    discounts: [],
    metadata: mergeMetadata({}, metadata),
    plan: planOf(price),
    price: copy(price),
    ...(!isMetered(price) && { quantity: quantity ?? 1 }),
    subscription,
    tax_rates: [],
  };
}

// What prices were called before; Stripe still sends it.
function planOf({
  id,
  active,
  created,
  currency,
  product,
  unit_amount: amount,
  unit_amount_decimal: decimal,
  recurring,
}) {
  return {
    id,
    object: 'plan',
    active,
    amount,
    amount_decimal: decimal,
    billing_scheme: 'per_unit',
    created,
    currency,
    interval: recurring.interval,
    interval_count: recurring.interval_count,
    livemode: false,
    metadata: {},
    meter: recurring.meter,
    nickname: null,
    product,
    tiers_mode: null,
    transform_usage: null,
    trial_period_days: null,
    usage_type: recurring.usage_type,
  };
}

export function updateSubscription(account, subscription, given) {
  const { cancel_at_period_end: atEnd, items, metadata, ...rest } = given;
  if (subscription.status === 'canceled') {
    throw invalid('A canceled subscription can only update its cancellation_details and metadata.');
  }
  if (rest.default_payment_method) {
    ownMethod(
      account,
      rest.default_payment_method,
      account.customers.find(subscription.customer),
      'default_payment_method',
    );
  }
  const change = { ...rest, metadata: mergeMetadata(subscription.metadata, metadata) };
  if (items) change.items = changeItems(account, subscription, items);
  account.update(subscription, 'customer.subscription.updated', {
    ...change,
    ...(atEnd !== undefined && endOf(account, subscription, atEnd)),
  });
  return subscription;
}

function changeItems(account, subscription, changes) {
  let data = [...subscription.items.data];
  changes.forEach(({ id, deleted, ...change }, index) => {
    const at = data.findIndex((item) => item.id === id);
    if (id && at < 0)
      throw invalid(
        `No such subscription item: '${id}'`,
        `items[${index}][id]`,
        'resource_missing',
      );
    if (deleted) {
      data = data.filter((item) => item.id !== id);
      return;
    }
    const price = change.price ?? data[at]?.price.id;
    const quantity = change.quantity ?? data[at]?.quantity;
    const item = subscriptionItem(
      account,
      subscription.id,
      { ...change, price, quantity },
      `items[${index}][price]`,
    );
    if (at < 0) data.push(item);
    else
      data[at] = {
        ...item,
        id,
        created: data[at].created,
        metadata: mergeMetadata(data[at].metadata, change.metadata),
      };
  });
  if (data.length === 0)
    throw invalid('A subscription must have at least one active plan.', 'items');
  return { ...subscription.items, data, total_count: data.length };
}

const periodEnd = ({ items }) => Math.max(...items.data.map((item) => item.current_period_end));

function endOf(account, subscription, atEnd) {
  return {
    cancel_at_period_end: atEnd,
    cancel_at: atEnd ? periodEnd(subscription) : null,
    canceled_at: atEnd ? account.now : null,
    cancellation_details: {
      ...subscription.cancellation_details,
      reason: atEnd ? 'cancellation_requested' : null,
    },
  };
}

export function cancel(account, subscription, reason = 'cancellation_requested') {
  if (subscription.status === 'canceled') {
    throw invalid(`No such subscription: '${subscription.id}'`, 'id', 'resource_missing');
  }
  Object.assign(subscription, {
    status: 'canceled',
    canceled_at: account.now,
    ended_at: account.now,
    cancellation_details: { ...subscription.cancellation_details, reason },
  });
  account.emit('customer.subscription.deleted', subscription);
  return subscription;
}

/// The next period begins: usage and the new period are billed; a failed payment makes it past due,
/// and one that was to end ends.
export function renew(account, subscription) {
  if (subscription.cancel_at_period_end) return cancel(account, subscription);
  const customer = account.customers.get(subscription.customer, 'customer');
  const items = copy(subscription.items);
  for (const item of items.data) {
    item.current_period_start = item.current_period_end;
    item.current_period_end = addInterval(item.current_period_start, item.price.recurring);
  }
  const paid = billPeriod(account, subscription, customer);
  return account.update(subscription, 'customer.subscription.updated', {
    items,
    status: paid ? 'active' : 'past_due',
  });
}

const ENDED = ['canceled', 'incomplete_expired'];

/// Whether a list asked for with `status` shows this subscription.
export function hasStatus(subscription, status) {
  if (status === 'all') return true;
  if (status === undefined) return subscription.status !== 'canceled';
  return status === 'ended' ? ENDED.includes(subscription.status) : subscription.status === status;
}
