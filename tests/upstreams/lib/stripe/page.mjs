import { complete, sessionOf } from './checkout.mjs';
import { StripeError } from './errors.mjs';
import { parseForm } from './form.mjs';

/// The pages people see: checkout, and an invoice. Plain forms, no script.

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem}
td{padding:.2rem 1rem .2rem 0}label{display:block;margin:1rem 0}input,select{font:inherit;width:100%;padding:.4rem;
box-sizing:border-box}button{font:inherit;width:100%;padding:.6rem;margin-top:1rem;border:0;border-radius:.4rem;
background:#0a5;color:#fff}.refused{color:#b00}small{color:#666}`;

/// The answer {status, headers, body} to a request for a page, or undefined if the path is none.
export function servePage(account, method, path, body) {
  const checkout = /^\/c\/pay\/(cs_\w+)$/.exec(path);
  const invoice = /^\/i\/(in_\w+)(\/pdf)?$/.exec(path);
  try {
    if (checkout && method === 'GET')
      return html(checkoutPage(account, sessionOf(account, checkout[1])));
    if (checkout && method === 'POST')
      return pay(account, sessionOf(account, checkout[1]), parseForm(body));
    if (invoice && method === 'GET') {
      const object = account.invoices.get(invoice[1]);
      return invoice[2] ? pdf(invoiceLines(object)) : html(invoicePage(object));
    }
  } catch (error) {
    if (!(error instanceof StripeError)) throw error;
    return html(page('Not here', `<p class="refused">${escape(error.message)}</p>`), error.status);
  }
  return undefined;
}

function pay(account, session, { card = 'pm_card_visa', email, name }) {
  const target = session.success_url?.replaceAll('{CHECKOUT_SESSION_ID}', session.id);
  try {
    if (session.status === 'open')
      complete(account, session, { card, email: email || undefined, name: name || undefined });
  } catch (error) {
    if (!(error instanceof StripeError)) throw error;
    return html(checkoutPage(account, session, error.message), error.status);
  }
  if (session.status !== 'complete') return html(checkoutPage(account, session), 410);
  return { status: 303, headers: { Location: target }, body: '' };
}

function checkoutPage(account, session, refusal) {
  if (session.status !== 'open')
    return page('Checkout', `<p>This checkout session is ${session.status}.</p>`);
  const rows = account.checkouts.get(session.id).items.map(
    ({ description, quantity, amount_total: amount, price }) => `<tr>
<td>${escape(description)}${quantity > 1 ? ` × ${quantity}` : ''}</td><td>${
      price.recurring?.meter ? 'by usage' : money(amount, price.currency)
    }${price.recurring ? ` / ${price.recurring.interval}` : ''}</td></tr>`,
  );
  const known = session.customer
    ? account.customers.find(session.customer).email
    : session.customer_email;
  const verb = { payment: 'Pay', subscription: 'Subscribe', setup: 'Save card' }[session.mode];
  return page(
    'Checkout',
    `${refusal ? `<p class="refused">${escape(refusal)}</p>` : ''}<table>${rows.join('')}</table>
<form method="post">
<label>Email <input name="email" type="email" required value="${escape(known ?? '')}"${known ? ' readonly' : ''}></label>
<label>Card <select name="card"><option value="pm_card_visa">Visa 4242 — is accepted</option>
<option value="pm_card_chargeCustomerFail">Visa 0341 — is declined</option></select></label>
<button>${verb}${session.amount_total ? ` ${money(session.amount_total, session.currency)}` : ''}</button></form>
${session.cancel_url ? `<p><a href="${escape(session.cancel_url)}">Cancel</a></p>` : ''}
<p><small>A stand-in for Stripe: no money moves.</small></p>`,
  );
}

const invoiceLines = (invoice) => [
  `Invoice ${invoice.number ?? '(draft)'}`,
  `${invoice.status}, ${new Date(invoice.created * 1000).toISOString().slice(0, 10)}, ${invoice.customer_email ?? invoice.customer}`,
  ...invoice.lines.data.map(
    ({ description, amount }) => `${description}: ${money(amount, invoice.currency)}`,
  ),
  `Total ${money(invoice.total, invoice.currency)}`,
];

function invoicePage(invoice) {
  const [title, ...lines] = invoiceLines(invoice);
  return page(title, lines.map((line) => `<p>${escape(line)}</p>`).join(''));
}

// One page of Helvetica, in ASCII: enough for a viewer to open.
function pdf(lines) {
  const text = lines
    .map((line) => `(${line.replace(/[^ -~]/g, 'x').replace(/[()\\]/g, '\\$&')}) Tj T*`)
    .join('\n');
  const content = `BT /F1 14 Tf 72 760 Td 24 TL\n${text}\nET`;
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ];
  let body = '%PDF-1.4\n';
  const offsets = objects.map((object, index) => {
    const at = body.length;
    body += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(at).padStart(10, '0')} 00000 n \n`;
  });
  body +=
    `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join('')}`
    + `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${body.length}\n%%EOF\n`;
  return { status: 200, headers: { 'Content-Type': 'application/pdf' }, body };
}

const page = (
  title,
  body,
) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style><h1>${escape(title)}</h1>${body}</html>`;

const html = (body, status = 200) => ({
  status,
  headers: { 'Content-Type': 'text/html; charset=utf-8' },
  body,
});

const money = (amount, currency) =>
  new Intl.NumberFormat('en-US', { style: 'currency', currency: currency ?? 'usd' }).format(
    amount / 100,
  );

const escape = (value) => String(value).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
