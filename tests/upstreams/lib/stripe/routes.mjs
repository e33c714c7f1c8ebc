import { methodFor } from './billing.mjs';
import { createSession, expire, sessionOf } from './checkout.mjs';
import {
  attach,
  createCustomer,
  deleteCustomer,
  detach,
  methodOf,
  updateCustomer,
} from './customers.mjs';
import { lineItems } from './expand.mjs';
import { cardDeclined, invalid } from './errors.mjs';
import { collect, finalize } from './invoices.mjs';
import {
  boolean,
  emptyable,
  expand,
  hash,
  integer,
  list,
  metadata,
  oneOf,
  paging,
  required,
  text,
  texts,
  timeRange,
} from './params.mjs';
import { refund } from './payments.mjs';
import { checkout, customer, id, item, subscription } from './schemas.mjs';
import { cancel, createSubscription, hasStatus, updateSubscription } from './subscriptions.mjs';

/// Every endpoint: method, path, the parameters it takes and what it does. `act` gets the account,
/// the parameters and the ids in the path, and is synchronous: requests never interleave.

const filter = (wanted) => (object) =>
  Object.entries(wanted).every(([key, value]) => value === undefined || object[key] === value);
const inTime =
  (created = () => true) =>
  (object) =>
    created(object.created);

/// Endpoints that show one object of a collection, and a page of those that pass the filter.
const retrieve = (path, name) => ({
  method: 'GET',
  path: `${path}/:id`,
  params: { expand },
  act: (account, _, key) => account[name].get(key),
});
const index = (path, name, params, keep) => ({
  method: 'GET',
  path,
  params: { ...paging, ...params },
  act: (account, given) => account[name].page(given, keep(given, account)),
});
const post = (path, params, act) => ({ method: 'POST', path, params, act });

export const ROUTES = [
  post('/v1/customers', { ...customer, payment_method: id }, createCustomer),
  index(
    '/v1/customers',
    'customers',
    { email: text(512), created: timeRange },
    (given) => (each) => filter({ email: given.email })(each) && inTime(given.created)(each),
  ),
  {
    ...retrieve('/v1/customers', 'customers'),
    act(account, _, key) {
      const found = account.customers.find(key);
      return found?.deleted
        ? { id: key, object: 'customer', deleted: true }
        : account.customers.get(key);
    },
  },
  post('/v1/customers/:id', customer, (account, given, key) =>
    updateCustomer(account, account.customers.get(key), given),
  ),
  {
    method: 'DELETE',
    path: '/v1/customers/:id',
    params: {},
    act: (account, _, key) => deleteCustomer(account, account.customers.get(key)),
  },

  retrieve('/v1/products', 'products'),
  index('/v1/products', 'products', { active: boolean }, ({ active }) => filter({ active })),
  retrieve('/v1/prices', 'prices'),
  index(
    '/v1/prices',
    'prices',
    {
      active: boolean,
      product: id,
      currency: text(3),
      type: oneOf('one_time', 'recurring'),
      lookup_keys: list(text()),
    },
    ({ active, product, currency, type, lookup_keys: keys }) =>
      (each) =>
        filter({ active, product, currency, type })(each)
        && (!keys || keys.includes(each.lookup_key)),
  ),

  post('/v1/checkout/sessions', checkout, createSession),
  index(
    '/v1/checkout/sessions',
    'sessions',
    {
      customer: id,
      subscription: id,
      payment_intent: id,
      status: oneOf('complete', 'expired', 'open'),
      created: timeRange,
    },
    ({ customer: owner, subscription: of, payment_intent: intent, status, created }, account) =>
      (each) =>
        filter({ customer: owner, subscription: of, payment_intent: intent })(each)
        && inTime(created)(each)
        && filter({ status })(sessionOf(account, each.id)),
  ),
  {
    ...retrieve('/v1/checkout/sessions', 'sessions'),
    act: (account, _, key) => sessionOf(account, key),
  },
  {
    method: 'GET',
    path: '/v1/checkout/sessions/:id/line_items',
    params: paging,
    act: (account, _, key) => lineItems(account, account.sessions.get(key).id),
  },
  post('/v1/checkout/sessions/:id/expire', { expand }, (account, _, key) =>
    expire(account, sessionOf(account, key)),
  ),

  post(
    '/v1/subscriptions',
    { ...subscription, customer: required(id), items: required(list(hash(item))) },
    createSubscription,
  ),
  index(
    '/v1/subscriptions',
    'subscriptions',
    {
      customer: id,
      price: id,
      status: oneOf(
        'active',
        'all',
        'canceled',
        'ended',
        'incomplete',
        'incomplete_expired',
        'past_due',
        'paused',
        'trialing',
        'unpaid',
      ),
      created: timeRange,
    },
    ({ customer: owner, price, status, created }) =>
      (each) =>
        filter({ customer: owner })(each)
        && hasStatus(each, status)
        && inTime(created)(each)
        && (!price || each.items.data.some((one) => one.price.id === price)),
  ),
  retrieve('/v1/subscriptions', 'subscriptions'),
  post(
    '/v1/subscriptions/:id',
    {
      ...subscription,
      items: list(hash({ ...item, price: id, id, deleted: boolean })),
      default_payment_method: emptyable(id),
    },
    (
      account,
      { off_session: _off, payment_behavior: _behavior, proration_behavior: _proration, ...given },
      key,
    ) => updateSubscription(account, account.subscriptions.get(key), given),
  ),
  {
    method: 'DELETE',
    path: '/v1/subscriptions/:id',
    params: { expand, invoice_now: boolean, prorate: boolean },
    act: (account, _, key) => cancel(account, account.subscriptions.get(key)),
  },

  index(
    '/v1/payment_methods',
    'paymentMethods',
    { customer: id, type: oneOf('card', 'link', 'sepa_debit', 'us_bank_account') },
    ({ customer: owner, type }, account) => {
      if (owner) account.customers.get(owner, 'customer');
      return (each) => each.customer === owner && filter({ type })(each);
    },
  ),
  retrieve('/v1/payment_methods', 'paymentMethods'),
  post(
    '/v1/payment_methods/:id/attach',
    { customer: required(id), expand },
    (account, given, key) =>
      attach(account, methodOf(account, key), account.customers.get(given.customer, 'customer')),
  ),
  post('/v1/payment_methods/:id/detach', { expand }, (account, _, key) =>
    detach(account, account.paymentMethods.get(key)),
  ),

  index(
    '/v1/invoices',
    'invoices',
    {
      customer: id,
      subscription: id,
      status: oneOf('draft', 'open', 'paid', 'uncollectible', 'void'),
      created: timeRange,
    },
    ({ customer: owner, subscription: of, status, created }, account) => {
      if (owner) account.customers.get(owner, 'customer');
      return (each) =>
        filter({ customer: owner, status })(each)
        && inTime(created)(each)
        && (!of || each.parent?.subscription_details.subscription === of);
    },
  ),
  retrieve('/v1/invoices', 'invoices'),
  post('/v1/invoices/:id/finalize', { auto_advance: boolean, expand }, (account, _, key) =>
    finalize(account, account.invoices.get(key)),
  ),
  post('/v1/invoices/:id/pay', { payment_method: id, off_session: boolean, expand }, payInvoice),

  retrieve('/v1/payment_intents', 'paymentIntents'),
  retrieve('/v1/setup_intents', 'setupIntents'),
  post(
    '/v1/refunds',
    {
      payment_intent: required(id),
      amount: integer(1),
      metadata,
      expand,
      reason: oneOf('duplicate', 'fraudulent', 'requested_by_customer'),
    },
    refund,
  ),
  retrieve('/v1/refunds', 'refunds'),
  index('/v1/refunds', 'refunds', { payment_intent: id }, ({ payment_intent: intent }) =>
    filter({ payment_intent: intent }),
  ),
  retrieve('/v1/disputes', 'disputes'),
  index('/v1/disputes', 'disputes', { payment_intent: id }, ({ payment_intent: intent }) =>
    filter({ payment_intent: intent }),
  ),

  {
    ...post(
      '/v1/billing/meter_events',
      {
        event_name: required(text(100)),
        payload: required(texts(100)),
        identifier: text(100),
        timestamp: integer(),
        expand,
      },
      (account, given) => account.meters.record(given, account.customers),
    ),
    // Stripe works on one event of a customer and meter at a time and refuses a second one.
    lock: ({ event_name: meter, payload }) => `${meter}/${payload.stripe_customer_id}`,
  },
  {
    method: 'GET',
    path: '/v1/billing/meters',
    params: { ...paging, status: oneOf('active', 'inactive') },
    act: (account, { limit = 10, status }) => {
      const all = account.meters.all.filter(filter({ status }));
      return {
        object: 'list',
        data: all.slice(0, limit),
        has_more: all.length > limit,
        url: '/v1/billing/meters',
      };
    },
  },
  {
    method: 'GET',
    path: '/v1/billing/meters/:id',
    params: { expand },
    act: (account, _, key) => account.meters.get(key),
  },
  {
    method: 'GET',
    path: '/v1/billing/meters/:id/event_summaries',
    params: {
      ...paging,
      customer: required(id),
      start_time: required(integer()),
      end_time: required(integer()),
      value_grouping_window: oneOf('day', 'hour'),
    },
    act: summaries,
  },

  index(
    '/v1/events',
    'events',
    {
      type: text(),
      types: list(text()),
      created: timeRange,
      delivery_success: boolean,
    },
    ({ type, types, created, delivery_success: success }, account) => {
      if (type && types)
        throw invalid('You may only specify one of these parameters: type, types.', 'type');
      if (types?.length > 20) throw invalid('You may specify up to 20 types.', 'types');
      const wanted = types ?? (type && [type]);
      return (each) =>
        (!wanted || wanted.some((one) => matchesType(one, each.type)))
        && inTime(created)(each)
        && (success === undefined || account.isDelivered(each) === success);
    },
  ),
  retrieve('/v1/events', 'events'),
];

/// `*` at the end of a pattern is for anything.
export function matchesType(pattern, type) {
  return pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : pattern === type;
}

function payInvoice(account, { payment_method: given }, key) {
  const invoice = account.invoices.get(key);
  if (invoice.status === 'draft') finalize(account, invoice);
  if (invoice.status !== 'open')
    throw invalid(`Invoice is already ${invoice.status}`, undefined, 'invoice_not_editable');
  const owner = account.subscriptions.find(invoice.parent?.subscription_details.subscription);
  const method = given
    ? account.paymentMethods.get(given, 'payment_method').id
    : owner
      ? methodFor(account, owner)
      : account.customers.find(invoice.customer).invoice_settings.default_payment_method;
  if (!collect(account, invoice, method)) throw cardDeclined();
  if (owner && owner.status !== 'canceled')
    account.update(owner, 'customer.subscription.updated', { status: 'active' });
  return invoice;
}

function summaries(
  account,
  { limit = 10, starting_after: after, ending_before: before, ...given },
  key,
) {
  account.customers.get(given.customer, 'customer');
  if (before)
    throw invalid('The stand-in pages summaries with starting_after only.', 'ending_before');
  const all = account.meters.summaries(account.meters.get(key), given);
  const from = after === undefined ? 0 : all.findIndex((each) => each.id === after) + 1;
  if (after !== undefined && from === 0)
    throw invalid(`No such summary: '${after}'`, 'starting_after', 'resource_missing');
  return {
    object: 'list',
    data: all.slice(from, from + limit),
    has_more: all.length > from + limit,
    url: `/v1/billing/meters/${key}/event_summaries`,
  };
}
