// Renders the results: a table on the terminal, results.md, results.json and results.svg.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const whole = number => Math.round(number).toLocaleString('en');
const dash = '–';
const milliseconds = microseconds => (microseconds / 1000).toFixed(microseconds < 1000 ? 3 : 2);

/** Columns of a load table; a missing number prints as a dash. */
const loadColumns = [
  ['candidate', row => row.name],
  ['requests/s', row => whole(row.rate)],
  ['p50 ms', row => (row.p50 === null ? dash : milliseconds(row.p50))],
  ['p99 ms', row => (row.p99 === null ? dash : milliseconds(row.p99))],
  ['server CPU µs/req', row => (row.serverCpu === null ? dash : row.serverCpu.toFixed(1))],
  ['database CPU µs/req', row => (row.databaseCpu === null ? dash : row.databaseCpu.toFixed(1))],
  ['binnacle is', row => (row.ratio === null ? dash : `${row.ratio.toFixed(2)}×`)],
];

const aimColumns = [
  ['aim', aim => aim.what],
  ['measured', aim => `${aim.value.toFixed(aim.unit ? 0 : 2)}${aim.unit ? ` ${aim.unit}` : '×'}`],
  ['wanted', aim => `${aim.atMost ? '≤' : '≥'} ${aim.limit}${aim.unit ? ` ${aim.unit}` : '×'}`],
  ['', aim => (reached(aim) ? 'met' : 'MISSED')],
];

export function reached({ value, limit, atMost }) {
  return atMost ? value <= limit : value >= limit;
}

function cells(columns, rows) {
  return [
    columns.map(([title]) => title),
    ...rows.map(row => columns.map(([, show]) => show(row))),
  ];
}

function plain(table) {
  const widths = table[0].map((_, column) =>
    Math.max(...table.map(row => [...row[column]].length)),
  );
  return table
    .map(row =>
      row
        .map((cell, column) =>
          column ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function markdown(table) {
  const line = row => `| ${row.join(' | ')} |`;
  return [
    line(table[0]),
    `|${table[0].map((_, column) => (column ? '--:' : '---')).join('|')}|`,
    ...table.slice(1).map(line),
  ].join('\n');
}

/** The whole report, by `draw` (plain or markdown) and a function that makes a heading. */
function render(results, draw, heading) {
  const parts = [];
  for (const { title, rows } of results.loads)
    parts.push(heading(title), draw(cells(loadColumns, rows)));
  if (results.facts.length)
    parts.push(
      heading('Memory, sessions and collection'),
      draw([['what', 'measured'], ...results.facts]),
    );
  if (results.aims.length) parts.push(heading('Aims'), draw(cells(aimColumns, results.aims)));
  if (results.notes.length) parts.push(results.notes.map(note => `* ${note}`).join('\n'));
  return parts.join('\n\n');
}

export function print(results) {
  console.log(
    `\n${render(results, plain, title => `${title}\n${'-'.repeat([...title].length)}`)}\n`,
  );
}

export function save(results, folder) {
  const { machine, options } = results;
  const intro = `# Results

Measured ${results.date} at commit \`${results.commit}\` on ${machine.cores} cores (${machine.cpu}), Linux ${machine.kernel},
Node ${machine.node}: ${options.rounds} rounds of ${options.seconds} s, the candidates in turn; each number is the
median of its rounds. What the numbers mean and how to repeat them: [README.md](README.md).

![chart](results.svg)
`;
  writeFileSync(
    join(folder, 'results.md'),
    `${intro}\n${render(results, markdown, title => `## ${title}`)}\n`,
  );
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(join(folder, 'results.svg'), chart(results));
}

const escape = text => text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`);

/**
 * Horizontal bars: requests per second, then how far each aim is reached (1 is the aim, to the
 * right is better).
 */
function chart({ loads, aims }) {
  const left = 330,
    width = 300,
    row = 22;
  const colours = { binnacle: '#0b6e99' };
  const shapes = [];
  let y = 0;
  const panel = (title, bars, mark) => {
    const most = Math.max(...bars.map(bar => bar.length), mark ?? 0) || 1;
    shapes.push(`<text x="16" y="${(y += 30)}" font-weight="bold">${escape(title)}</text>`);
    y += 8;
    if (mark) {
      const x = (left + (mark / most) * width).toFixed(1);
      const line = `x1="${x}" y1="${y}" x2="${x}" y2="${y + bars.length * row}"`;
      shapes.push(`<line ${line} stroke="#222" stroke-dasharray="3 3"/>`);
    }
    for (const { name, length, label, colour } of bars) {
      const long = (length / most) * width;
      const bar = `x="${left}" y="${y + 3}" width="${long.toFixed(1)}" height="16" rx="2"`;
      const end = `x="${(left + long + 6).toFixed(1)}" y="${y + 15}"`;
      // The labels' white edge keeps them legible where they cross the line.
      const edge = 'stroke="#fff" stroke-width="4" paint-order="stroke"';
      shapes.push(
        `<text x="${left - 8}" y="${y + 15}" text-anchor="end">${escape(name)}</text>`,
        `<rect ${bar} fill="${colour}"/>`,
        `<text ${end} ${edge}>${escape(label)}</text>`,
      );
      y += row;
    }
  };
  for (const { title, rows } of loads)
    panel(
      `${title}: requests per second`,
      rows.map(({ name, rate }) => ({
        name,
        length: rate,
        label: whole(rate),
        colour: colours[name] ?? '#9aa5b1',
      })),
    );
  // Past three times the aim a bar says nothing more, and would dwarf the others.
  if (aims.length)
    panel(
      'Aims: the dashed line is the aim, further right is better',
      aims.map(aim => ({
        name: aim.what,
        label: aimColumns[1][1](aim),
        colour: reached(aim) ? '#3a8f5c' : '#c2452d',
        length: Math.max(
          0,
          Math.min(3, aim.atMost ? aim.limit / Math.max(aim.value, 1e-9) : aim.value / aim.limit),
        ),
      })),
      1,
    );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 ${y + 16}" font-family="sans-serif" font-size="13">
<rect width="760" height="${y + 16}" fill="#fff"/>
${shapes.join('\n')}
</svg>
`;
}
