#include "proxy/admin/dashboard.hpp"

namespace hyperdrive::proxy::admin {
namespace {

constexpr std::string_view kHtml = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hyperdrive</title>
<link rel="stylesheet" href="/dashboard.css">
<script src="/dashboard.js" defer></script>
</head>
<body>
<header>
  <h1 id="name">hyperdrive</h1>
  <p id="origin"></p>
  <p id="state" role="status"></p>
</header>
<main>
  <section aria-label="Counters"><dl id="counters"></dl></section>
  <section aria-label="Cache"><h2>Cache</h2><dl id="cache"></dl></section>
  <section aria-label="Recent queries">
    <h2>Recent queries</h2>
    <p><label><input type="checkbox" id="pause"> Pause</label> <span id="dropped"></span></p>
    <table>
      <thead><tr><th>Time</th><th>Cache</th><th>ms</th><th>Rows</th><th>Statement</th><th>Why</th></tr></thead>
      <tbody id="queries"></tbody>
    </table>
  </section>
</main>
</body>
</html>
)html";

constexpr std::string_view kCss = R"css(
:root { color-scheme: light dark; --line: #8884; --quiet: #777; }
body { margin: 0 auto; max-width: 75rem; padding: 1rem; font: 15px/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 0 1.5rem; align-items: baseline; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; }
header p { margin: 0; color: var(--quiet); }
dl { display: flex; flex-wrap: wrap; gap: .5rem; margin: .8rem 0; }
dl div { border: 1px solid var(--line); border-radius: .4rem; padding: .35rem .7rem; min-width: 5.5rem; }
dt { color: var(--quiet); font-size: .8rem; }
dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:nth-child(3), td:nth-child(4) { font-variant-numeric: tabular-nums; }
td:nth-child(5) { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
td:nth-child(6) { color: var(--quiet); }
.status { font-weight: 600; }
.hit { color: #188038; } .stale { color: #b06000; } .miss { color: #1a73e8; } .failed { color: #c5221f; }
)css";

constexpr std::string_view kJs = R"js('use strict';
const kRows = 200;
const byId = (id) => document.getElementById(id);

function setList(id, pairs) {
  const list = byId(id);
  list.replaceChildren(...pairs.map(([name, value]) => {
    const box = document.createElement('div');
    const term = document.createElement('dt');
    const data = document.createElement('dd');
    term.textContent = name;
    data.textContent = value;
    box.append(term, data);
    return box;
  }));
}

async function get(path) {
  const response = await fetch(path, {credentials: 'same-origin'});
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function bytes(count) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) { count /= 1024; ++unit; }
  return `${count.toFixed(unit ? 1 : 0)} ${units[unit]}`;
}

async function refresh() {
  try {
    const [status, stats] = await Promise.all([get('/v1/status'), get('/v1/stats')]);
    document.title = `${status.name} - hyperdrive`;
    byId('name').textContent = status.name;
    const origin = status.origin;
    byId('origin').textContent = `${origin.host}:${origin.port}/${origin.database} ` +
        `${origin.server_version ? 'version ' + origin.server_version : ''} ${origin.tls}`;
    byId('state').textContent = origin.last_error ? origin.last_error.message : status.state;
    const ms = (latency) => `${(latency.p50_us / 1000).toFixed(2)} / ${(latency.p99_us / 1000).toFixed(2)}`;
    setList('counters', [
      ['clients', stats.clients], ['origin connections', stats.origin_connections],
      ['waiting', stats.waiting], ['queries', stats.queries], ['transactions', stats.transactions],
      ['origin connects', stats.origin_connects], ['errors', stats.errors],
      ['query ms p50 / p99', ms(stats.latency.query)], ['origin ms p50 / p99', ms(stats.latency.origin)],
      ...Object.entries(stats.pins).map(([reason, count]) => [`pinned: ${reason}`, count]),
      ...Object.entries(stats.refusals).map(([reason, count]) => [`refused: ${reason}`, count]),
      ...Object.entries(stats.refused_in_production)
        .map(([reason, count]) => [`refused in production, works here: ${reason}`, count]),
    ]);
    const cache = stats.cache;
    const answered = cache.hit + cache.stale;
    const asked = answered + cache.miss;
    setList('cache', [
      ['hit rate', asked ? `${(100 * answered / asked).toFixed(1)} %` : '-'],
      ['bytes', bytes(cache.bytes)], ['origin s saved', (cache.origin_ms_saved / 1000).toFixed(1)],
      ...Object.entries(cache).filter(([name, count]) =>
        count && !['bytes', 'origin_ms_saved'].includes(name)),
    ]);
  } catch (error) {
    byId('state').textContent = String(error.message || error);
  }
  setTimeout(refresh, 1000);
}

function cell(text, className) {
  const td = document.createElement('td');
  td.textContent = text;
  if (className) td.className = className;
  return td;
}

function show(event) {
  if (event.type === 'dropped') {
    byId('dropped').textContent = `${event.n} not shown`;
    return;
  }
  if (event.type !== 'query' || byId('pause').checked) return;
  const row = document.createElement('tr');
  const why = event.error ? `${event.error.sqlstate} ${event.error.message}`
                          : event.pinned || event.refused_in_production || event.reason;
  const known = ['hit', 'stale', 'miss'].includes(event.status) ? event.status : '';
  row.append(cell(event.at.slice(11, 23)),
             cell(event.status.toUpperCase(), `status ${event.error ? 'failed' : known}`),
             cell((event.duration_us / 1000).toFixed(2)), cell(event.rows), cell(event.sql), cell(why));
  const body = byId('queries');
  body.prepend(row);
  while (body.children.length > kRows) body.lastChild.remove();
}

async function follow() {
  try {
    const response = await fetch('/v1/events', {credentials: 'same-origin'});
    if (!response.ok) throw new Error(`/v1/events: ${response.status}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const {value, done} = await reader.read();
      if (done) break;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines) if (line.trim()) show(JSON.parse(line));
    }
  } catch (error) {
    byId('state').textContent = String(error.message || error);
  }
  setTimeout(follow, 2000);
}

refresh();
follow();
)js";

}  // namespace

std::optional<DashboardFile> dashboard_file(std::string_view path) {
  if (path == "/") return DashboardFile{"text/html; charset=utf-8", kHtml};
  if (path == "/dashboard.js") return DashboardFile{"text/javascript; charset=utf-8", kJs};
  if (path == "/dashboard.css") return DashboardFile{"text/css; charset=utf-8", kCss};
  return std::nullopt;
}

}  // namespace hyperdrive::proxy::admin
