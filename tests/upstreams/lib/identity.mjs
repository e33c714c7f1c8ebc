import { execFileSync } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DAY } from './time.mjs';

/// Who the server is and whom it lets in: certificates and token, made once and kept in the state
/// directory, so that a kubeconfig stays valid over a restart.

const OPENSSL_CONFIG = `
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
`;

/// {ca, server: {cert, key}, client: {cert, key}, token}, all as text.
export function loadIdentity(state, wantedToken) {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const directory = join(state, 'pki');
  if (!isUsable(directory)) makeCertificates(directory);
  const read = (name) => readFileSync(join(directory, name), 'utf8');
  const pair = (name) => ({ cert: read(`${name}.crt`), key: read(`${name}.key`) });
  return {
    ca: read('ca.crt'),
    server: pair('server'),
    client: pair('client'),
    token: keepToken(join(state, 'token'), wantedToken),
  };
}

/// Writes kubeconfig.yaml (token) and kubeconfig-cert.yaml (client certificate); answers the
/// former's path.
export function writeKubeconfigs(state, { ca, client, token }, server) {
  const base64 = (text) => Buffer.from(text).toString('base64');
  const write = (name, user) => {
    const path = join(state, name);
    writePrivately(path, kubeconfig(server, base64(ca), user));
    return path;
  };
  write('kubeconfig-cert.yaml', [
    `client-certificate-data: ${base64(client.cert)}`,
    `client-key-data: ${base64(client.key)}`,
  ]);
  return write('kubeconfig.yaml', [`token: ${JSON.stringify(token)}`]);
}

function kubeconfig(server, ca, user) {
  return `apiVersion: v1
kind: Config
clusters:
- name: stand-in
  cluster:
    server: ${server}
    certificate-authority-data: ${ca}
users:
- name: binnacle
  user:
${user.map((line) => `    ${line}\n`).join('')}contexts:
- name: binnacle@stand-in
  context:
    cluster: stand-in
    user: binnacle
current-context: binnacle@stand-in
preferences: {}
`;
}

function isUsable(directory) {
  const path = join(directory, 'server.crt');
  if (!existsSync(path)) return false;
  return Date.parse(new X509Certificate(readFileSync(path)).validTo) > Date.now() + DAY;
}

// Made beside its place and moved there whole: a start that was killed leaves nothing half-made.
function makeCertificates(directory) {
  const fresh = `${directory}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  writeFileSync(join(fresh, 'openssl.cnf'), OPENSSL_CONFIG);
  const certify = (name, subject, ...issuer) => openssl(fresh, [
    'req', '-x509', '-config', 'openssl.cnf', '-extensions', name, '-subj', subject,
    '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-sha256',
    '-days', '3650', '-keyout', `${name}.key`, '-out', `${name}.crt`, ...issuer,
  ]);
  const byCa = ['-CA', 'ca.crt', '-CAkey', 'ca.key'];
  certify('ca', '/CN=stand-in Kubernetes CA');
  certify('server', '/CN=stand-in Kubernetes API server', ...byCa);
  certify('client', '/O=system:masters/CN=binnacle', ...byCa);
  rmSync(directory, { recursive: true, force: true });
  renameSync(fresh, directory);
}

function openssl(cwd, command) {
  try {
    execFileSync('openssl', command, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    if (error.code === 'ENOENT') throw new Error('openssl is missing: apt-get install openssl');
    throw new Error(`openssl ${command[0]} failed: ${error.stderr}`);
  }
}

function keepToken(path, wanted) {
  const token = wanted
    ?? (existsSync(path) ? readFileSync(path, 'utf8').trim() : randomBytes(24).toString('hex'));
  writePrivately(path, `${token}\n`);
  return token;
}

// `mode` counts for a new file only, hence the rename over an old one.
function writePrivately(path, text) {
  rmSync(`${path}.new`, { force: true });
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
