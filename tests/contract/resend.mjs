/// Binnacle with the stand-in for Resend beside it.
import { startResend } from '../upstreams/resend.mjs';
import { command } from '../upstreams/lib/testing.mjs';
import { startService, until } from './harness.mjs';

/// A service that sends mails, and what arrives; `stop` ends both.
export async function startPost(env = {}) {
  const resend = await startResend();
  const service = await startService({
    env: { RESEND_API_KEY: resend.apiKey, BINNACLE_MAIL_RESEND_URL: resend.url, ...env },
  });
  return { service, resend, ...mailbox(resend), stop: () => Promise.all([service.stop(), resend.close()]) };
}

function mailbox(resend) {
  const to = (address) => resend.mails.filter((mail) => mail.to[0] === address);
  return {
    mailsTo: to,
    /// The `count`th mail to that address, as soon as it is there.
    mailTo: (address, count = 1) =>
      until(`${address} has ${count} mails`, () => to(address).length >= count && to(address)[count - 1]),
    fault: (...faults) => command(`${resend.control}/faults`, 'POST', faults),
    noFaults: () => command(`${resend.control}/faults`, 'DELETE'),
  };
}

/// The link in a mail.
export const linkIn = (mail) => new URL(/https?:\/\/\S+/.exec(mail.text)[0]);
