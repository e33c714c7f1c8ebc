// The documents against the code, and the code against the rules of docs/architecture.md.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const binary = process.env.BINNACLE_BINARY ?? join(root, 'build/release/binnacle');
const notOurs = new Set(['build', 'data', 'node_modules', '.git']);

function* walk(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (notOurs.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.isFile()) yield relative(root, path);
  }
}

const files = [...walk(root)];
const cache = new Map();
function read(file) {
  if (!cache.has(file)) cache.set(file, readFileSync(join(root, file), 'utf8'));
  return cache.get(file);
}
const named = (pattern) => files.filter((file) => pattern.test(file));
const topFolder = (file) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '');
const none = (found, what) => assert.deepEqual(found, [], what);

// -- the documents -------------------------------------------------------------------------------

const readme = read('README.md');
const printed = execFileSync(binary, ['settings', '--markdown'], { encoding: 'utf8' });
const pages = ['gateway', 'platform', 'hub', 'assinante', 'developer', 'operations-routes'].map((name) => read(`docs/${name}.md`)).join('\n');

test("the README's settings are those of the binary", () => {
  const [, shown] = /<!-- settings -->\n([\s\S]*)<!-- \/settings -->/.exec(readme) ?? [];
  assert.equal(shown, printed, 'put the output of `binnacle settings --markdown` between the markers');
});

test('every setting has a row with its name, its variable and a meaning', () => {
  const source = read('config/settings.cpp');
  const rows = printed.split('\n').filter((line) => line.startsWith('| `'));
  for (const [, name] of source.matchAll(/\n  add\("([^"]+)"/g))
    assert.ok(rows.some((row) => row.startsWith(`| \`${name}\` |`)), `no row for ${name}`);
  for (const row of rows)
    assert.match(row, /^\| `[a-z_.0-9]+` \| `[A-Z][A-Z0-9_]+`.* \| .*\S.* \|$/, 'an incomplete row');
});

/// [{verb, path}] of the route table, the ones that are answered on the connection included.
function routes() {
  const table = read('http/routes/table.cpp');
  const all = [...table.matchAll(/\{(get|post|put|patch|del|delete_|head),\s*"([^"]+)"/g)].map(
    ([, verb, path]) => ({ verb: verb.replace(/^del.*/, 'delete').toUpperCase(), path }));
  for (const [, path] of table.matchAll(/^\s*\{"(\/[^"]+)",/gm)) all.push({ verb: 'GET', path });
  const lines = table.split('\n').filter((line) => /^\s*\{.*"\/.*\},$/.test(line));
  assert.equal(all.length, lines.length, 'this test does not understand every line of the table');
  return all;
}

test('every route is documented with its method', () => {
  const missing = routes().filter(({ verb, path }) =>
    !pages.includes(`\`${verb} ${path}\``) && !pages.includes(`## ${verb} ${path}\n`) &&
    !pages.split('\n').some((line) => line.includes(`\`${verb}\``) && line.includes(`${path}\``)));
  none(missing.map(({ verb, path }) => `${verb} ${path}`), "routes that no surface's page names");
});

test('every metric of the code is explained', () => {
  const operations = read('docs/operations.md');
  const metrics = new Set(named(/^(config|persistence|integrations|actors|http)\/.*\.[ch]pp$/).flatMap(
    (file) => [...read(file).matchAll(/(?:counter|gauge|latency|histogram)\(\s*"(binnacle_[a-z_]+)"/g)]
      .map(([, name]) => name)));
  assert.ok(metrics.size > 5, 'this test does not find the metrics');
  none([...metrics].filter((name) => !operations.includes(`\`${name}\``)), 'metrics not in docs/operations.md');
});

const anchorOf = (heading) =>
  heading.trim().toLowerCase().replace(/[`*]/g, '').replace(/[^\p{L}\p{N} _-]/gu, '').replace(/ /g, '-');

test('relative links lead somewhere', () => {
  const broken = [];
  for (const file of named(/\.md$/)) {
    const text = read(file).replace(/```[\s\S]*?```/g, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path, anchor] = target.split('#');
      const to = path ? join(dirname(file), path) : file;
      if (!existsSync(join(root, to))) broken.push(`${file}: ${target}`);
      else if (anchor && !read(to).split('\n').some((line) => /^#+ /.test(line) &&
          anchorOf(line.replace(/^#+ /, '')) === anchor)) broken.push(`${file}: ${target}`);
    }
  }
  none(broken);
});

test('each top-level folder has a README', () => {
  const folders = new Set(files.map(topFolder).filter((name) => name && !name.startsWith('.')));
  none([...folders].filter((name) => !files.includes(`${name}/README.md`)));
});

// -- who includes whom ---------------------------------------------------------------------------

const mayInclude = {
  config: ['config'],
  persistence: ['persistence', 'config'],
  integrations: ['integrations', 'config'],
  actors: ['actors', 'integrations', 'persistence', 'config'],
  http: ['http', 'actors', 'integrations', 'persistence', 'config'],
};
const sources = named(/^(?:(?:config|persistence|integrations|actors|http)\/.*|[^/]*)\.[ch]pp$/);
const includes = sources.flatMap((file) =>
  [...read(file).matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)].map(([, what]) => ({ file, what })));
const show = ({ file, what }) => `${file} includes ${what}`;

test('folders include only what stands left of them', () => {
  const wrong = includes.filter(({ file, what }) => {
    const from = topFolder(file);
    const to = topFolder(what);
    return from && to in mayInclude && !mayInclude[from].includes(to);
  });
  none(wrong.map(show));
});

test('headers of the project are included by their path from its root', () => {
  const wrong = includes.filter(({ file, what }) => topFolder(file) && !what.includes('/') && what.endsWith('.hpp'));
  none(wrong.map(show));
  none(includes.filter(({ what }) => topFolder(what) in mayInclude && !files.includes(what)).map(show));
});

test('only one folder knows each library', () => {
  const rules = [
    [/^pqxx\//, /^persistence\//],
    [/^libpq-fe\.h$/, /^persistence\//],
    [/^boost\/(asio|beast)\b/, /^(http|actors\/runtime)\//],
    [/^curl\//, /^integrations\//],
    [/^(cjose|openssl)\/|^sodium\.h$|^yaml-cpp\//, /^integrations\//],
    [/^(jpeglib|jerror|png)\.h$|^webp\//, /^integrations\//],
    [/^caf\//, /^(actors|http)\/|^commands\.cpp$/],
  ];
  const wrong = includes.filter(({ file, what }) =>
    rules.some(([library, home]) => library.test(what) && !home.test(file)));
  none(wrong.map(show));
});

// -- the build -----------------------------------------------------------------------------------

const lists = named(/(^|\/)CMakeLists\.txt$|\.cmake$/);

test('sources are listed by hand', () => {
  none(lists.filter((file) => /file\s*\(\s*GLOB/i.test(read(file))));
});

test('every source is in a list of its folder or of one above', () => {
  const forgotten = named(/\.cpp$/).filter((file) => {
    for (let folder = dirname(file); ; folder = dirname(folder)) {
      const list = join(folder, 'CMakeLists.txt');
      if (files.includes(list)) {
        const names = [relative(folder === '.' ? '' : folder, file), basename(file)];
        const words = read(list).split(/[\s()"]+/);
        if (words.some((word) => names.includes(word) || names.includes(`${word}.cpp`))) return false;
      }
      if (folder === '.') return true;
    }
  });
  none(forgotten);
});

test('every migration is in the list', () => {
  const list = read('persistence/CMakeLists.txt');
  none(named(/^persistence\/migrations\/.*\.sql$/).filter((file) => !list.includes(basename(file, '.sql'))));
});

// -- nothing of one machine ----------------------------------------------------------------------

test('no file names a path of one machine or a package registry', () => {
  const homes = [['', 'work', ''], ['', 'home', '[a-z]'], ['', 'root', '']].map((parts) => parts.join('/'));
  const hosts = ['registry.npmjs' + '.org', 'deb.debian' + '.org', 'pypi' + '.org', 'crates' + '.io'];
  const pattern = new RegExp([...homes.map((home) => `(?<![\\w.}…-])${home}`),
    ...hosts.map((host) => host.replace('.', '\\.'))].join('|'));
  const text = files.filter((file) => statSync(join(root, file)).size < 2_000_000 &&
    /\.(md|[ch]pp|m?js|json|sql|txt|cmake|service|svg|conf|toml|ya?ml)$|(^|\/)[a-z]+$/.test(file));
  const found = text.flatMap((file) => read(file).split('\n').flatMap((line, at) =>
    (pattern.test(line) ? [`${file}:${at + 1}: ${line.trim().slice(0, 120)}`] : [])));
  none(found);
});
