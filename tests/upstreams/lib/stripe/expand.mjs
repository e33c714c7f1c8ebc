import { copy } from './account.mjs';
import { invalid } from './errors.mjs';

/// expand[]: ids replaced with the objects they name, https://docs.stripe.com/expand

const EXPANDABLE = {
  'checkout.session': [
    'customer',
    'subscription',
    'invoice',
    'payment_intent',
    'setup_intent',
    'line_items',
  ],
  customer: ['invoice_settings.default_payment_method', 'subscriptions'],
  subscription: ['customer', 'latest_invoice', 'default_payment_method'],
  invoice: ['customer', 'default_payment_method'],
  payment_method: ['customer'],
  payment_intent: ['customer', 'payment_method'],
  price: ['product'],
  refund: ['payment_intent'],
  setup_intent: ['customer', 'payment_method'],
};
const DEEPEST = 4;

/// A copy of the object, or list, with what the paths name put in.
export function expand(account, object, paths = []) {
  if (paths.length === 0) return object;
  const result = copy(object);
  for (const path of paths) {
    if (path.split('.').length > DEEPEST)
      throw invalid(
        `You cannot expand more than ${DEEPEST} levels of a property. Property: ${path}`,
      );
    expandPath(account, result, path, path);
  }
  return result;
}

function expandPath(account, object, path, whole) {
  if (object.object === 'list') {
    if (!path.startsWith('data.')) throw cannotExpand(whole);
    for (const each of object.data) expandPath(account, each, path.slice(5), whole);
    return;
  }
  const name = EXPANDABLE[object.object]?.find(
    (each) => path === each || path.startsWith(`${each}.`),
  );
  const rest = path.slice((name?.length ?? 0) + 1);
  if (!name) return descend(account, object, path, whole);
  const keys = name.split('.');
  const holder = keys.slice(0, -1).reduce((inner, key) => inner[key], object);
  const key = keys.at(-1);
  if (holder[key] === undefined) holder[key] = copy(hidden(account, object, key));
  if (typeof holder[key] === 'string') holder[key] = copy(account.find(holder[key]) ?? holder[key]);
  if (rest && holder[key]) expandPath(account, holder[key], rest, whole);
}

// Through objects that are always whole: items.data.price.product.
function descend(account, object, path, whole) {
  const [key, ...rest] = path.split('.');
  const inner = object[key];
  if (typeof inner !== 'object' || inner === null || rest.length === 0) throw cannotExpand(whole);
  expandPath(account, inner, rest.join('.'), whole);
}

// Lists that are there only when asked for.
function hidden(account, { id }, key) {
  if (key === 'line_items') return lineItems(account, id);
  return account.subscriptions.page(
    {},
    (each) => each.customer === id && each.status !== 'canceled',
    `/v1/customers/${id}/subscriptions`,
  );
}

export function lineItems(account, session) {
  return {
    object: 'list',
    data: account.checkouts.get(session).items,
    has_more: false,
    url: `/v1/checkout/sessions/${session}/line_items`,
  };
}

const cannotExpand = (path) => invalid(`This property cannot be expanded (${path}).`, 'expand');
