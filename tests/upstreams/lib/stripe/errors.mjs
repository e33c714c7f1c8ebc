/// Refusals in the words of Stripe: https://docs.stripe.com/api/errors

export class StripeError extends Error {
  /// `stored` says whether the answer is kept under the idempotency key: refusals made before or
  /// beside the work are not.
  constructor(
    status,
    message,
    { type = 'invalid_request_error', stored = true, headers = {}, ...fields } = {},
  ) {
    super(message);
    Object.assign(this, { status, stored, headers, fields: { type, ...fields } });
  }

  body(requestId) {
    const { type, code, ...rest } = this.fields;
    return {
      error: {
        ...(code && {
          code,
          doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll('_', '-')}`,
        }),
        message: this.message,
        ...rest,
        request_log_url: `https://dashboard.stripe.com/test/logs/${requestId}`,
        type,
      },
    };
  }
}

const bad = (message, fields) => new StripeError(400, message, fields);

export const invalid = (message, param, code) =>
  bad(message, { ...(code && { code }), ...(param && { param }) });
export const missing = (param) =>
  bad(`Missing required param: ${param}.`, { code: 'parameter_missing', param });
export const unknown = (param) =>
  bad(`Received unknown parameter: ${param}`, { code: 'parameter_unknown', param });

/// 404 for the object the path names, 400 for one a parameter names.
export const noSuch = (noun, id, param = 'id') =>
  new StripeError(param === 'id' ? 404 : 400, `No such ${noun}: '${id}'`, {
    code: 'resource_missing',
    param,
  });

export const unrecognizedUrl = (method, path) =>
  new StripeError(
    404,
    `Unrecognized request URL (${method}: ${path}). Please see https://stripe.com/docs `
      + 'or we can help at https://support.stripe.com/.',
  );

export const unauthorized = (message) =>
  new StripeError(401, message, { headers: { 'WWW-Authenticate': 'Basic realm="Stripe"' } });

export const rateLimited = (retryAfter) =>
  new StripeError(
    429,
    'Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.',
    {
      code: 'rate_limit',
      stored: false,
      headers: {
        'Stripe-Rate-Limited-Reason': 'global-rate',
        ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
      },
    },
  );

export const lockTimeout = () =>
  new StripeError(
    429,
    'This object cannot be accessed right now because another API request or Stripe process is '
      + 'currently accessing it. If you see this error intermittently, retry the request. If you see this error '
      + 'frequently and are making multiple concurrent requests to a single object, make your requests serially or at '
      + 'a lower rate.',
    { code: 'lock_timeout', stored: false, headers: { 'Stripe-Should-Retry': 'true' } },
  );

export const apiError = (status, retryAfter) =>
  new StripeError(status, 'An unknown error occurred', {
    type: 'api_error',
    headers: retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) },
  });

export const cardDeclined = () =>
  new StripeError(402, 'Your card was declined.', {
    type: 'card_error',
    code: 'card_declined',
    decline_code: 'generic_decline',
  });
