import { copy, newId, randomText } from './account.mjs';
import { invalid } from './errors.mjs';
import { mergeMetadata } from './params.mjs';

/// Customers and their payment methods.

const DEFAULT = 'invoice_settings[default_payment_method]';

export function createCustomer(account, { payment_method: method, ...given }) {
  const card = method && methodOf(account, method, 'payment_method');
  const wanted = given.invoice_settings?.default_payment_method ?? null;
  if (wanted && wanted !== method) throw notTheirs(wanted, DEFAULT);
  const customer = account.create(
    account.customers,
    {
      id: newId('cus', 14),
      object: 'customer',
      address: given.address ?? null,
      balance: 0,
      created: account.now,
      currency: null,
      default_source: null,
      delinquent: false,
      description: given.description ?? null,
      discount: null,
      email: given.email ?? null,
      invoice_prefix: randomText(8).toUpperCase(),
      invoice_settings: {
        custom_fields: null,
        default_payment_method: wanted && card.id,
        footer: null,
        rendering_options: null,
      },
      livemode: false,
      metadata: mergeMetadata({}, given.metadata),
      name: given.name ?? null,
      next_invoice_sequence: 1,
      phone: given.phone ?? null,
      preferred_locales: given.preferred_locales ?? [],
      shipping: null,
      tax_exempt: 'none',
      test_clock: null,
    },
    'customer.created',
  );
  if (card) attach(account, card, customer);
  return customer;
}

export function updateCustomer(
  account,
  customer,
  { metadata, invoice_settings: settings, ...given },
) {
  if (settings?.default_payment_method)
    ownMethod(account, settings.default_payment_method, customer, DEFAULT);
  return account.update(customer, 'customer.updated', {
    ...given,
    invoice_settings: { ...customer.invoice_settings, ...settings },
    metadata: mergeMetadata(customer.metadata, metadata),
  });
}

export function deleteCustomer(account, customer) {
  account.emit('customer.deleted', customer);
  Object.assign(customer, { deleted: true });
  return { id: customer.id, object: 'customer', deleted: true };
}

const CARDS = {
  pm_card_visa: { brand: 'visa', last4: '4242' },
  pm_card_mastercard: { brand: 'mastercard', last4: '4444' },
  pm_card_chargeCustomerFail: { brand: 'visa', last4: '0341', declines: true },
};

/// Makes the payment method a token stands for: Stripe's test cards of the same names.
export function createCard(account, token = 'pm_card_visa', billing = {}) {
  const { declines, ...card } = CARDS[token];
  const method = account.create(account.paymentMethods, {
    id: newId('pm'),
    object: 'payment_method',
    allow_redisplay: 'unspecified',
    billing_details: {
      address: null,
      email: null,
      name: null,
      phone: null,
      tax_id: null,
      ...billing,
    },
    card: {
      ...card,
      checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: 'pass' },
      country: 'US',
      display_brand: card.brand,
      exp_month: 12,
      exp_year: new Date(account.now * 1000).getUTCFullYear() + 3,
      fingerprint: `${card.brand}${card.last4}`,
      funding: 'credit',
      generated_from: null,
      networks: { available: [card.brand], preferred: null },
      three_d_secure_usage: { supported: true },
      wallet: null,
    },
    created: account.now,
    customer: null,
    livemode: false,
    metadata: {},
    type: 'card',
  });
  if (declines) account.declining.add(method.id);
  return method;
}

/// A payment method by id, or a new one if the id is a test card's token.
export function methodOf(account, id, param) {
  return Object.hasOwn(CARDS, id) ? createCard(account, id) : account.paymentMethods.get(id, param);
}

/// The payment method, which must be attached to the customer.
export function ownMethod(account, id, customer, param) {
  const method = account.paymentMethods.get(id, param);
  if (method.customer !== customer.id) throw notTheirs(id, param);
  return method;
}

const notTheirs = (id, param) =>
  invalid(
    `The customer does not have a payment method with the ID ${id}. The payment method must be attached to `
      + 'the customer.',
    param,
    'resource_missing',
  );

export function attach(account, method, customer) {
  if (method.customer && method.customer !== customer.id) {
    throw invalid(
      'The payment method you provided has already been attached to a customer.',
      undefined,
      'payment_method_already_attached',
    );
  }
  if (method.customer) return method;
  method.customer = customer.id;
  account.emit('payment_method.attached', method);
  return method;
}

export function detach(account, method) {
  if (!method.customer) {
    throw invalid(
      'The payment method you provided is not attached to a customer so detachment is impossible.',
      'payment_method',
    );
  }
  const customer = account.customers.find(method.customer);
  account.update(method, 'payment_method.detached', { customer: null });
  if (customer?.invoice_settings.default_payment_method === method.id) {
    account.update(customer, 'customer.updated', {
      invoice_settings: { ...copy(customer.invoice_settings), default_payment_method: null },
    });
  }
  return method;
}
