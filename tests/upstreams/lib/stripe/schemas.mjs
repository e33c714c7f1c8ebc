import {
  boolean,
  email,
  emptyable,
  expand,
  hash,
  integer,
  list,
  metadata,
  oneOf,
  required,
  text,
  webUrl,
} from './params.mjs';

/// The parameters of what is created and changed.

export const id = text(255);
const address = emptyable(
  hash({
    city: emptyable(text()),
    country: emptyable(text()),
    line1: emptyable(text()),
    line2: emptyable(text()),
    postal_code: emptyable(text()),
    state: emptyable(text()),
  }),
);
export const customer = {
  address,
  description: emptyable(text()),
  email: emptyable(email),
  expand,
  invoice_settings: hash({ default_payment_method: emptyable(id) }),
  metadata,
  name: emptyable(text(256)),
  phone: emptyable(text(20)),
  preferred_locales: list(text()),
};
const subscriptionData = {
  description: text(500),
  metadata,
  trial_period_days: integer(1, 730),
};
export const subscription = {
  ...subscriptionData,
  cancel_at_period_end: boolean,
  collection_method: oneOf('charge_automatically', 'send_invoice'),
  days_until_due: integer(0),
  default_payment_method: id,
  expand,
  off_session: boolean,
  payment_behavior: oneOf(
    'allow_incomplete',
    'default_incomplete',
    'error_if_incomplete',
    'pending_if_incomplete',
  ),
  proration_behavior: oneOf('always_invoice', 'create_prorations', 'none'),
};
export const item = { price: required(id), quantity: integer(), metadata };
export const checkout = {
  allow_promotion_codes: boolean,
  cancel_url: webUrl,
  client_reference_id: text(200),
  currency: text(3),
  customer: id,
  customer_creation: oneOf('always', 'if_required'),
  customer_email: email,
  expand,
  expires_at: integer(),
  line_items: list(hash({ price: required(id), quantity: integer(1) })),
  locale: text(),
  metadata,
  mode: required(oneOf('payment', 'setup', 'subscription')),
  payment_intent_data: hash({ description: text(), metadata }),
  payment_method_types: list(oneOf('card')),
  setup_intent_data: hash({ metadata }),
  subscription_data: hash(subscriptionData),
  success_url: required(webUrl),
};
