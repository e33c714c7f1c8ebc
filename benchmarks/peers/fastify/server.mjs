// The Fastify peer: the same work as the service's GET /api/usage, written as Fastify's users write
// it. Two worker processes; token verified against the service's keys (and remembered), limiter per
// user, security headers, ETag, access log in one buffered line, totals of the month from the same
// PostgreSQL.
import cluster from 'node:cluster';
import { createPublicKey } from 'node:crypto';
import etag from '@fastify/etag';
import helmet from '@fastify/helmet';
import jwt from '@fastify/jwt';
import rateLimit from '@fastify/rate-limit';
import Fastify from 'fastify';
import pg from 'pg';
import pino from 'pino';
import { monthOfUser, toAnswer } from './usage.mjs';

const workers = 2;
const { PORT, JWKS, ACCESS_LOG, CACHE_MS } = process.env;

if (cluster.isPrimary) {
  for (let i = 0; i < workers; ++i) cluster.fork();
  cluster.on('exit', () => process.exit(1)); // a benchmark with half its servers measures nothing
  process.on('SIGTERM', () => process.exit(0));
} else {
  const key = JSON.parse(JWKS).keys[0];
  const publicKey = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  // Connects by the PG* variables, with four times the service's connections.
  const pool = new pg.Pool({ max: 8, options: '-c TimeZone=UTC' });
  const answers = new Map(); // user id -> {answer, until}

  const app = Fastify({
    logger: {
      stream: pino.destination({
        dest: ACCESS_LOG,
        minLength: 65536,
        maxWrite: 1 << 20,
        sync: false,
      }),
    },
    disableRequestLogging: true,
  });
  await app.register(helmet);
  await app.register(etag);
  await app.register(jwt, {
    secret: { public: publicKey },
    verify: { algorithms: [key.alg ?? 'RS256'], cache: 10_000 },
  });
  await app.register(rateLimit, {
    max: 1_000_000_000,
    timeWindow: '1 minute',
    hook: 'preHandler',
    keyGenerator: request => request.user.sub,
  });
  app.addHook('onRequest', async (request, reply) => {
    try {
      await request.jwtVerify();
    } catch {
      return reply.code(401).send({ error: 'Not authenticated' });
    }
  });
  app.addHook('onResponse', async (request, reply) => {
    request.log.info({
      method: request.method,
      path: request.url,
      status: reply.statusCode,
      user: request.user?.sub,
      ms: reply.elapsedTime,
      address: request.ip,
    });
  });

  async function usage(user) {
    const kept = answers.get(user);
    if (kept && kept.until > Date.now()) return kept.answer;
    const { rows } = await pool.query({ ...monthOfUser, values: [user] });
    const answer = toAnswer(rows[0]);
    if (Number(CACHE_MS)) answers.set(user, { answer, until: Date.now() + Number(CACHE_MS) });
    return answer;
  }

  app.get('/api/usage', async (request, reply) => {
    reply.header('cache-control', 'private, no-cache');
    return usage(request.user.sub);
  });
  await app.listen({ host: '127.0.0.1', port: Number(PORT) });
}
