import { newId, randomText } from './account.mjs';
import { isMetered } from './catalogue.mjs';
import { attach, createCard, createCustomer } from './customers.mjs';
import { cardDeclined, invalid, missing } from './errors.mjs';
import { charge } from './payments.mjs';
import { createSubscription } from './subscriptions.mjs';

/// Checkout sessions: made over the API, completed by a person on the page at their `url`.

const DAY = 86_400;

export function createSession(account, given) {
  const { mode } = given;
  if (given.customer && given.customer_email) {
    throw invalid(
      'You may only specify one of these parameters: customer, customer_email.',
      'customer',
    );
  }
  if (given.customer) account.customers.get(given.customer, 'customer');
  const items = mode === 'setup' ? [] : lineItems(account, given);
  const total = items.reduce((sum, { amount_total: amount }) => sum + amount, 0);
  const id = `cs_test_${randomText(58)}`;
  const { subscription_data, payment_intent_data, setup_intent_data } = given;
  account.checkouts.set(id, { items, subscription_data, payment_intent_data, setup_intent_data });
  return account.create(account.sessions, {
    id,
    object: 'checkout.session',
    adaptive_pricing: null,
    after_expiration: null,
    allow_promotion_codes: given.allow_promotion_codes ?? null,
    amount_subtotal: mode === 'setup' ? null : total,
    amount_total: mode === 'setup' ? null : total,
    automatic_tax: { enabled: false, liability: null, provider: null, status: null },
    billing_address_collection: null,
    cancel_url: given.cancel_url ?? null,
    client_reference_id: given.client_reference_id ?? null,
    client_secret: null,
    collected_information: null,
    consent: null,
    consent_collection: null,
    created: account.now,
    currency: items[0]?.currency ?? given.currency ?? null,
    currency_conversion: null,
    custom_fields: [],
    custom_text: {
      after_submit: null,
      shipping_address: null,
      submit: null,
      terms_of_service_acceptance: null,
    },
    customer: given.customer ?? null,
    customer_creation: given.customer
      ? null
      : (given.customer_creation ?? (mode === 'subscription' ? 'always' : 'if_required')),
    customer_details: null,
    customer_email: given.customer_email ?? null,
    discounts: [],
    expires_at: given.expires_at ?? account.now + DAY,
    invoice: null,
    invoice_creation: mode === 'payment' ? { enabled: false, invoice_data: {} } : null,
    livemode: false,
    locale: given.locale ?? null,
    metadata: given.metadata ?? {},
    mode,
    payment_intent: null,
    payment_link: null,
    payment_method_collection: mode === 'subscription' ? 'always' : 'if_required',
    payment_method_configuration_details: null,
    payment_method_options: {},
    payment_method_types: ['card'],
    payment_status: mode === 'setup' ? 'no_payment_required' : 'unpaid',
    permissions: null,
    phone_number_collection: { enabled: false },
    recovered_from: null,
    saved_payment_method_options: null,
    setup_intent: null,
    shipping_address_collection: null,
    shipping_cost: null,
    shipping_options: [],
    status: 'open',
    submit_type: null,
    subscription: null,
    success_url: given.success_url,
    total_details:
      mode === 'setup' ? null : { amount_discount: 0, amount_shipping: 0, amount_tax: 0 },
    ui_mode: 'hosted',
    url: `${account.url}/c/pay/${id}`,
    wallet_options: null,
  });
}

function lineItems(account, { mode, line_items: given }) {
  if (!given?.length) throw missing('line_items');
  const items = given.map(({ price: id, quantity }, index) => {
    const param = `line_items[${index}]`;
    const price = account.prices.get(id, `${param}[price]`);
    if (isMetered(price) && quantity !== undefined) {
      throw invalid(
        `Quantity should not be specified where usage_type is \`metered\`. Remove quantity from \`${param}\``,
        `${param}[quantity]`,
      );
    }
    if (!isMetered(price) && quantity === undefined) {
      throw invalid(`Quantity is required. Add \`quantity\` to \`${param}\``, `${param}[quantity]`);
    }
    if (mode === 'payment' && price.recurring) {
      throw invalid(
        'You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.',
        `${param}[price]`,
      );
    }
    return lineItem(account, price, quantity);
  });
  if (mode === 'subscription' && !items.every(({ price }) => price.recurring)) {
    throw invalid(
      'You must provide at least one recurring price in `subscription` mode when using prices.',
      'line_items',
    );
  }
  return items;
}

function lineItem(account, price, quantity) {
  const amount = isMetered(price) ? 0 : price.unit_amount * quantity;
  return {
    id: newId('li'),
    object: 'item',
    amount_discount: 0,
    amount_subtotal: amount,
    amount_tax: 0,
    amount_total: amount,
    currency: price.currency,
    description: account.products.find(price.product).name,
    price,
    quantity: quantity ?? null,
  };
}

/// Sessions that nobody completed in time have expired, which is noticed when they are looked at.
export function sessionOf(account, id, param) {
  const session = account.sessions.get(id, param);
  if (session.status === 'open' && session.expires_at <= account.now) expire(account, session);
  return session;
}

export function expire(account, session) {
  if (session.status !== 'open') {
    throw invalid(
      'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a '
        + `status of ${session.status}.`,
    );
  }
  Object.assign(session, { status: 'expired', url: null });
  account.emit('checkout.session.expired', session);
  return session;
}

/// What happens when the person presses Pay. A card that is declined changes nothing: 402.
export function complete(account, session, { card = 'pm_card_visa', email, name } = {}) {
  if (session.status !== 'open') throw invalid(`The checkout session is ${session.status}.`);
  const amount = session.amount_total ?? 0;
  if (amount > 0 && card === 'pm_card_chargeCustomerFail') {
    throw cardDeclined();
  }
  const customer = customerOf(account, session, { email, name });
  const payer = {
    email: customer?.email ?? session.customer_email ?? email ?? null,
    name: customer?.name ?? name ?? null,
  };
  const method = createCard(account, card, payer);
  if (customer && session.mode !== 'payment') attach(account, method, customer);
  Object.assign(session, COMPLETE[session.mode](account, session, { customer, method, amount }), {
    customer: customer?.id ?? null,
    customer_details: { address: null, phone: null, tax_exempt: 'none', tax_ids: [], ...payer },
    payment_status: amount > 0 ? 'paid' : 'no_payment_required',
    status: 'complete',
    url: null,
  });
  account.emit('checkout.session.completed', session);
  return session;
}

// As Stripe does: a payment alone makes no customer unless it was asked to.
function customerOf(
  account,
  { customer, customer_creation: creation, customer_email: known },
  { email, name },
) {
  if (customer) return account.customers.get(customer, 'customer');
  return creation === 'always'
    ? createCustomer(account, { email: known ?? email, name })
    : undefined;
}

const COMPLETE = {
  payment(account, session, { customer, method, amount }) {
    if (amount === 0) return {};
    const { metadata = {}, description } =
      account.checkouts.get(session.id).payment_intent_data ?? {};
    const intent = charge(account, {
      amount,
      currency: session.currency,
      customer: customer?.id,
      methodId: method.id,
      metadata,
      description,
    });
    return { payment_intent: intent.id };
  },
  subscription(account, session, { customer, method }) {
    const { items, subscription_data: more } = account.checkouts.get(session.id);
    const subscription = createSubscription(account, {
      customer: customer.id,
      default_payment_method: method.id,
      items: items.map(({ price, quantity }) => ({
        price: price.id,
        quantity: quantity ?? undefined,
      })),
      ...more,
    });
    return { subscription: subscription.id, invoice: subscription.latest_invoice };
  },
  setup(account, session, { customer, method }) {
    const id = newId('seti');
    const intent = account.create(
      account.setupIntents,
      {
        id,
        object: 'setup_intent',
        application: null,
        automatic_payment_methods: null,
        cancellation_reason: null,
        client_secret: `${id}_secret_${randomText(24)}`,
        created: account.now,
        customer: customer?.id ?? null,
        description: null,
        flow_directions: null,
        last_setup_error: null,
        latest_attempt: null,
        livemode: false,
        mandate: null,
        metadata: account.checkouts.get(session.id).setup_intent_data?.metadata ?? {},
        next_action: null,
        on_behalf_of: null,
        payment_method: method.id,
        payment_method_options: {},
        payment_method_types: ['card'],
        single_use_mandate: null,
        status: 'succeeded',
        usage: 'off_session',
      },
      'setup_intent.created',
    );
    account.emit('setup_intent.succeeded', intent);
    return { setup_intent: intent.id };
  },
};
