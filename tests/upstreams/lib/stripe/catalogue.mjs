/// What is for sale: products, prices and meters, read once from a catalogue and only shown then.

/// {products: [{id, name}], prices: [{id, product, unit_amount, …}], meters: [{id, event_name}]};
/// one with an id that is there already replaces what was there. All or nothing.
export function addCatalogue(account, { products = [], prices = [], meters = [] }) {
  const all = [
    ...products.map((each) => [account.products, product(account, each)]),
    ...prices.map((each) => [account.prices, price(account, each, products)]),
  ];
  const checked = meters.map((each) => account.meters.describe(each));
  for (const [collection, object] of all) {
    const known = collection.find(object.id);
    if (known) Object.assign(known, object);
    else collection.add(object);
  }
  for (const meter of checked) account.meters.add(meter);
}

function product(account, { id, name, ...more }) {
  if (!id || !name) throw new TypeError('a product needs id and name');
  return {
    id,
    object: 'product',
    active: true,
    created: account.now,
    default_price: null,
    description: null,
    images: [],
    livemode: false,
    marketing_features: [],
    metadata: {},
    name,
    package_dimensions: null,
    shippable: null,
    statement_descriptor: null,
    tax_code: null,
    type: 'service',
    unit_label: null,
    updated: account.now,
    url: null,
    ...more,
  };
}

function price(
  account,
  { id, recurring, unit_amount: amount, unit_amount_decimal: decimal, ...more },
  products,
) {
  const isKnown =
    account.products.find(more.product) || products.some((each) => each.id === more.product);
  if (!id || !isKnown)
    throw new TypeError(`the price ${id} needs an id and a product that is there`);
  if (!Number.isInteger(amount) && !/^\d+(\.\d{1,12})?$/.test(decimal ?? '')) {
    throw new TypeError(`the price ${id} needs unit_amount or unit_amount_decimal, in minor units`);
  }
  return {
    id,
    object: 'price',
    active: true,
    billing_scheme: 'per_unit',
    created: account.now,
    currency: 'usd',
    custom_unit_amount: null,
    livemode: false,
    lookup_key: null,
    metadata: {},
    nickname: null,
    recurring: recurring
      ? {
          interval: 'month',
          interval_count: 1,
          meter: null,
          trial_period_days: null,
          usage_type: recurring.meter ? 'metered' : 'licensed',
          ...recurring,
        }
      : null,
    tax_behavior: 'unspecified',
    tiers_mode: null,
    transform_quantity: null,
    type: recurring ? 'recurring' : 'one_time',
    unit_amount: amount ?? null,
    unit_amount_decimal: decimal ?? String(amount),
    ...more,
  };
}

export const isMetered = (price) => price.recurring?.usage_type === 'metered';
