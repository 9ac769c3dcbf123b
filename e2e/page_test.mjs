// The web page in a real browser: what somebody who uses it relies on.
//
//   node e2e/page_test.mjs [WORDS IN A TEST'S NAME]
//
// Needs ui/dist and build/atoll (./dev build), or another program in ATOLL_BINARY, and Debian's
// chromium. Most of it runs against a hub made up by page_mock.mjs, the rest against atoll demo.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { cluster, newState, startMock } from './page_mock.mjs';
import { realTests, startDemo } from './page_real.mjs';

const UI = fileURLToPath(new URL('../ui/', import.meta.url));
const require = createRequire(join(UI, 'package.json'));
const BINARY = process.env.ATOLL_BINARY ?? fileURLToPath(new URL('../build/atoll', import.meta.url));
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const BUDGET_BYTES = 60_000;
const PATIENCE_MS = 30_000;
const CPU = 'sum by (cluster) (rate(node_cpu_seconds_total[5m]))';

const tests = [];
const test = (name, run, options = {}) => tests.push({ name, run, options });

// Waits until 'found' gives something true; returns it.
async function until(found, what) {
	const end = Date.now() + PATIENCE_MS;
	for (;;) {
		const value = await found();
		if (value) {
			return value;
		}
		if (Date.now() > end) {
			throw new Error('not in time: ' + what);
		}
		await new Promise((done) => setTimeout(done, 20));
	}
}

const params = (page) => new URL(page.url()).searchParams;
const asked = (state, path) => state.requests.filter((one) => one.path === path);

async function type(page, query) {
	await page.fill('#query', query);
	await page.keyboard.press('Escape');
	await page.press('#query', 'Enter');
}

// How many points of the graph have a colour of their own (axes and grid are grey).
function inkIn(page) {
	return page.locator('.plot canvas').evaluate((canvas) => {
		const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
		let coloured = 0;
		for (let i = 0; i < data.length; i += 4) {
			const [r, g, b, a] = data.slice(i, i + 4);
			coloured += a > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 60 ? 1 : 0;
		}
		return coloured;
	});
}

test('draws a graph of what is typed, with a row of figures per series', async ({ page, open }) => {
	await open();
	await type(page, CPU);
	await page.waitForSelector('.plot[data-series="3"] canvas');
	await until(async () => (await inkIn(page)) > 500, 'lines in the graph');
	const rows = await page.locator('.legend tbody tr').allInnerTexts();
	assert.equal(rows.length, 3);
	for (const name of ['bahrain', 'frankfurt', 'madrid']) {
		assert.ok(rows.some((row) => row.includes(name) && /\d/.test(row)), `no row for ${name}: ${rows}`);
	}
});

test('shows the same answer as a table, which sorts by value', async ({ page, open }) => {
	await open();
	await type(page, 'up');
	await page.waitForSelector('.plot');
	await page.click('#tab-table');
	await page.waitForSelector('.result-table tbody tr');
	assert.equal(await page.locator('.result-table tbody tr').count(), 6);
	assert.match(await page.locator('.result-table thead').innerText(), /cluster\s+instance\s+job/);
	await page.click('.result-table th.num button');
	const values = (await page.locator('.result-table .value').allInnerTexts()).map(Number);
	assert.deepEqual(values, [...values].sort((a, b) => b - a));
});

test('shows something alive to who comes without a question', async ({ page, open, state }) => {
	await open();
	await page.waitForSelector('.plot canvas');
	assert.ok((await page.inputValue('#query')).includes('by (cluster)'));
	assert.equal(params(page).get('q'), await page.inputValue('#query'));
	assert.equal(params(page).get('refresh'), '10s');
	await page.waitForSelector('footer >> text=atoll 0.1.0');
	assert.equal(asked(state, 'query_range')[0].form.stats, 'all');
});

test('keeps its whole state in the address', async ({ page, open, context }) => {
	await open();
	await type(page, 'up{job="node"}');
	await page.click('.range-button');
	await page.click('.popover >> text="6 hours"');
	await page.fill('.step', '2m');
	await page.press('.step', 'Enter');
	await page.selectOption('select', '30');
	await page.click('#tab-table');
	await page.waitForSelector('.result-table');
	const address = new URL(page.url());
	assert.deepEqual(Object.fromEntries(address.searchParams), {
		q: 'up{job="node"}',
		tab: 'table',
		range: '6h',
		step: '2m',
		refresh: '30s',
	});

	const other = await context.newPage();
	await other.goto(address.href);
	await other.waitForSelector('.result-table tbody tr');
	assert.equal(await other.inputValue('#query'), 'up{job="node"}');
	assert.match(await other.locator('.range-button').innerText(), /Last 6 hours/);
	assert.equal(await other.locator('select').inputValue(), '30');
	await other.click('#tab-graph');
	assert.equal(await other.inputValue('.step'), '2m');
});

test('goes back to the query before', async ({ page, open }) => {
	await open('?q=up');
	await page.waitForSelector('.plot');
	await type(page, CPU);
	await page.waitForSelector('.plot[data-series="3"]');
	await page.goBack();
	await page.waitForSelector('.plot[data-series="6"]');
	assert.equal(await page.inputValue('#query'), 'up');
});

test('opens links made for Prometheus', async ({ page, open }) => {
	await open('graph?g0.expr=up&g0.tab=1&g0.range_input=2h');
	await page.waitForSelector('.result-table tbody tr');
	assert.equal(await page.inputValue('#query'), 'up');
	assert.match(await page.locator('.range-button').innerText(), /Last 2h/);
});

test('names the cluster that is missing, in the answer and among the clusters', async ({ page, open, state }) => {
	state.missing = ['bahrain'];
	await open('?q=' + encodeURIComponent(CPU));
	await page.waitForSelector('.warnings');
	const text = await page.locator('.warnings').innerText();
	assert.match(text, /Incomplete: without bahrain/);
	assert.match(text, /did not answer/);
	await page.waitForSelector('.card.is-missing[data-cluster="bahrain"]');
	assert.equal(await page.locator('.card.is-missing').count(), 1);
	assert.match(await page.locator('.cost li[data-cluster="bahrain"]').innerText(), /no answer/);
	assert.equal(await page.locator('.plot').getAttribute('data-series'), '2');
	assert.equal(await page.locator('.warnings').getAttribute('role'), 'alert');
});

test('says what the answer cost, cluster by cluster', async ({ page, open }) => {
	await open('?q=' + encodeURIComponent(CPU));
	await page.waitForSelector('.cost li');
	assert.match(await page.locator('.cost p').innerText(), /3 series in .*, 8\.7 kB received from 3 clusters/);
	assert.match(await page.locator('.cost li[data-cluster="frankfurt"]').innerText(), /frankfurt\s*2\.9 kB/);
});

test('shows each cluster with its state, latency, bytes, certificate and exports', async ({ page, open }) => {
	await open('?q=up');
	await page.waitForSelector('.card');
	const text = await page.locator('.card[data-cluster="bahrain"]').innerText();
	assert.match(text, /up 3 h/);
	assert.match(text, /8,211\s*series/);
	assert.match(text, /84\.1 ms/);
	assert.match(text, /1\.43 MB/);
	assert.match(text, /22 h left/);
	assert.match(text, /prometheus/);
	assert.match(await page.locator('.clusters h2').innerText(), /all 3 up/);
});

test('puts clusters in trouble first, with the reason', async ({ page, open, state }) => {
	Object.assign(state.clusters[1], { state: 'down', lastError: 'certificate expired 2 h ago' });
	Object.assign(state.clusters[2], { state: 'connecting', series: null, rttMs: null, lastAnswer: null, certNotAfterMs: Date.now() - 7200_000 });
	await open('?q=up');
	await page.waitForSelector('.card');
	const names = await page.locator('.card h3').allInnerTexts();
	assert.deepEqual(names, ['frankfurt', 'madrid', 'bahrain']);
	assert.match(await page.locator('.card').nth(0).innerText(), /certificate expired 2 h ago/);
	assert.match(await page.locator('.card').nth(1).innerText(), /connecting[^]*expired 2 h ago/);
	assert.match(await page.locator('.clusters h2').innerText(), /1 of 3 up/);
});

test('follows clusters that come and go, and what fails', async ({ page, open, state }) => {
	state.clusters[0].errors = 1;
	await open('?q=up');
	await page.waitForSelector('.card');
	assert.equal(await page.locator('.errors').count(), 0);
	state.clusters.push(cluster('lisbon'));
	state.clusters[0].errors = 3;
	await page.waitForSelector('.card[data-cluster="lisbon"]', { timeout: PATIENCE_MS });
	assert.match(await page.locator('.card[data-cluster="bahrain"]').innerText(), /2 failed/);
	state.clusters.pop();
	await page.waitForSelector('.card[data-cluster="lisbon"]', { state: 'detached', timeout: PATIENCE_MS });
});

test('shows many clusters as lines', async ({ page, open, state }) => {
	state.clusters = Array.from({ length: 100 }, (_, i) => cluster('c' + i));
	Object.assign(state.clusters[77], { state: 'down', lastError: 'gone' });
	await open('?q=up');
	await page.waitForSelector('.cluster-lines tbody tr');
	assert.equal(await page.locator('.cluster-lines tbody tr').count(), 30);
	assert.equal(await page.locator('.cluster-lines tbody tr').first().getAttribute('data-cluster'), 'c77');
	await page.click('text=Show all 100 clusters');
	assert.equal(await page.locator('.cluster-lines tbody tr').count(), 100);
});

test('tells who links no cluster yet what to do', async ({ page, open, state }) => {
	state.clusters = [];
	await open('?q=up');
	await page.waitForSelector('text=This hub follows no cluster yet');
});

test('has no clusters on a monitor', async ({ page, open, state }) => {
	state.isHub = false;
	await open();
	await page.waitForSelector('.plot canvas');
	assert.equal(await page.locator('.clusters').count(), 0);
	assert.equal(await page.locator('.role').innerText(), 'monitor');
	assert.equal(await page.inputValue('#query'), 'up');
	assert.equal(asked(state, 'atoll/clusters').length, 1);
}, { mayFail: /404/ });

test('points at the place of a mistake and keeps the old answer', async ({ page, open }) => {
	await open('?q=up');
	await page.waitForSelector('.plot');
	await type(page, 'sum((up');
	await page.waitForSelector('.problem');
	const text = await page.locator('.problem').innerText();
	assert.match(text, /unexpected end of input/);
	assert.match(text, /sum\(\(up\n {5}\^/);
	assert.equal(await page.locator('.answer.is-old .plot').count(), 1);
	await type(page, 'sum(up) by (cluster)');
	await page.waitForSelector('.problem', { state: 'detached' });
}, { mayFail: /400/ });

test('says when nothing matches, and offers what does', async ({ page, open }) => {
	await open('?q=nothing');
	await page.waitForSelector('text=No series match');
	await page.click('.examples button >> nth=0');
	await page.waitForSelector('.plot canvas');
	assert.equal(await page.inputValue('#query'), 'count by (cluster) (up == 1)');
});

test('says when the server is gone, and tries again', async ({ page, open, state, mock }) => {
	await open('?q=up');
	await page.waitForSelector('.plot');
	await page.route('**/api/v1/query_range', (route) => route.abort());
	await page.press('#query', 'Enter');
	await page.waitForSelector('.problem >> text=cannot be reached');
	await page.unroute('**/api/v1/query_range');
	await page.click('text=Try again');
	await page.waitForSelector('.problem', { state: 'detached' });
	assert.ok(mock.url && state.requests.length > 1);
}, { mayFail: /ERR_FAILED/ });

test('gives up a query that another one overtakes', async ({ page, open, state }) => {
	await open('?q=up');
	await page.waitForSelector('.plot[data-series="6"]');
	state.delayMs = 1000;
	await type(page, 'nothing');
	await until(() => asked(state, 'query_range').length >= 2, 'the slow query');
	state.delayMs = 0;
	await type(page, CPU);
	await page.waitForSelector('.plot[data-series="3"]');
	await page.waitForTimeout(1500);
	assert.equal(await page.locator('.plot[data-series="3"]').count(), 1);
});

test('completes metrics, labels and their values', async ({ page, open, state }) => {
	await open('?q=up');
	await page.waitForSelector('.plot');
	await page.fill('#query', '');
	await page.waitForSelector('.choices >> text=Who is up');
	await page.locator('#query').pressSequentially('rate(node_c');
	await page.waitForSelector('.choices >> text=node_cpu_seconds_total');
	await page.keyboard.press('Tab');
	assert.equal(await page.inputValue('#query'), 'rate(node_cpu_seconds_total');
	await page.locator('#query').pressSequentially('{clu');
	await page.waitForSelector('.choices >> text=cluster');
	await page.keyboard.press('Tab');
	await page.locator('#query').pressSequentially('="fr');
	await page.waitForSelector('.choices >> text=frankfurt');
	await page.keyboard.press('ArrowDown');
	await page.keyboard.press('Enter');
	await page.locator('#query').pressSequentially('"}[5');
	await page.waitForSelector('.choices >> text=15m');
	await page.keyboard.press('Tab');
	assert.equal(await page.inputValue('#query'), 'rate(node_cpu_seconds_total{cluster="frankfurt"}[5m');
	assert.equal(asked(state, 'labels')[0].form['match[]'], 'node_cpu_seconds_total');
});

test('runs on Enter what was typed, whatever is offered', async ({ page, open }) => {
	await open('?q=nothing');
	await page.waitForSelector('.nothing');
	await page.fill('#query', '');
	await page.locator('#query').pressSequentially('up');
	await page.waitForSelector('.choices');
	await page.keyboard.press('Enter');
	await page.waitForSelector('.plot');
	assert.equal(params(page).get('q'), 'up');
});

test('offers what was asked before', async ({ page, open }) => {
	await open('?q=up');
	await type(page, 'up{job="once"}');
	await page.waitForSelector('.plot');
	await page.fill('#query', '');
	await page.waitForSelector('.choices li >> text=up{job="once"}');
});

test('can be used without a mouse', async ({ page, open }) => {
	await open('?q=up');
	await page.waitForSelector('.plot');
	await page.keyboard.press('/');
	assert.equal(await page.evaluate(() => document.activeElement.id), 'query');
	await page.keyboard.press('Tab');
	await page.keyboard.press('Tab');
	assert.equal(await page.evaluate(() => document.activeElement.id), 'tab-graph');
	await page.keyboard.press('ArrowRight');
	await page.waitForSelector('.result-table');
	assert.equal(await page.evaluate(() => document.activeElement.id), 'tab-table');
	await page.keyboard.press('Tab');
	await page.keyboard.press('Tab');
	await page.keyboard.press('Enter');
	await page.waitForSelector('.popover');
	await page.keyboard.press('Escape');
	assert.equal(await page.locator('.popover').count(), 0);
});

test('takes an exact range and refuses a wrong one', async ({ page, open, state }) => {
	await open('?q=up&tz=utc');
	await page.waitForSelector('.plot');
	await page.click('.range-button');
	await page.fill('.absolute input >> nth=0', '2026-11-22 10:00');
	await page.fill('.absolute input >> nth=1', '2026-11-22 09:00');
	await page.press('.absolute input >> nth=1', 'Enter');
	await page.waitForSelector('.wrong');
	await page.fill('.absolute input >> nth=1', '2026-11-22 11:00:00');
	await page.click('text=Apply');
	await until(() => params(page).get('from'), 'the range in the address');
	assert.equal(params(page).get('from'), String(Date.UTC(2026, 10, 22, 10) / 1000));
	await until(() => asked(state, 'query_range').some((one) => one.form.end === String(Date.UTC(2026, 10, 22, 11) / 1000)), 'the query');
	assert.match(await page.locator('.range-button').innerText(), /2026-11-22 10:00 – 11:00\s*UTC/);
});

test('zooms into what is marked on the graph, and out again', async ({ page, open }) => {
	await open('?q=up&range=2h');
	await page.waitForSelector('.plot .u-over');
	const box = await page.locator('.plot .u-over').boundingBox();
	const y = box.y + box.height / 2;
	await page.mouse.move(box.x + box.width * 0.25, y);
	await page.mouse.down();
	await page.mouse.move(box.x + box.width * 0.5, y, { steps: 5 });
	await page.mouse.up();
	await until(() => params(page).get('from'), 'a fixed range');
	const seconds = Number(params(page).get('to')) - Number(params(page).get('from'));
	assert.ok(seconds > 1500 && seconds < 2100, `${seconds} s of 7200`);
	await page.click('[aria-label="Longer range"]');
	await until(() => params(page).get('range') === '2h', 'the range before');
});

test('tells values under the pointer', async ({ page, open }) => {
	await open('?q=' + encodeURIComponent(CPU));
	await page.waitForSelector('.plot .u-over');
	const box = await page.locator('.plot .u-over').boundingBox();
	await page.mouse.move(box.x + box.width / 3, box.y + box.height / 2, { steps: 3 });
	await page.waitForSelector('.tooltip');
	const text = await page.locator('.tooltip').innerText();
	assert.match(text, /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
	assert.match(text, /cluster=madrid\s+\d/);
});

test('shows one series alone', async ({ page, open }) => {
	await open('?q=' + encodeURIComponent(CPU));
	await page.waitForSelector('.plot canvas');
	const before = await until(async () => inkIn(page), 'lines');
	await page.click('.legend .series >> nth=1');
	await until(async () => (await inkIn(page)) < before * 0.6, 'fewer lines');
	assert.equal(await page.locator('.legend tr.is-off').count(), 2);
	await page.click('.legend .series >> nth=1');
	assert.equal(await page.locator('.legend tr.is-off').count(), 0);
});

test('stays quick and says so when there are too many series to draw', async ({ page, open }) => {
	await open('?q=many(1500)');
	await page.waitForSelector('.plot[data-series="200"]');
	assert.match(await page.locator('.note').innerText(), /first 200 of 1500/);
	assert.equal(await page.locator('.legend tbody tr').count(), 20);
	assert.match(await page.locator('.cost p').innerText(), /1,500 series/);
});

test('asks again by itself, but not while nobody looks', async ({ page, open, state }) => {
	await open('?q=up&refresh=1s');
	await until(() => asked(state, 'query_range').length >= 3, 'three answers');
	const hide = (hidden) =>
		page.evaluate((value) => {
			Object.defineProperty(document, 'hidden', { value, configurable: true });
			document.dispatchEvent(new Event('visibilitychange'));
		}, hidden);
	await hide(true);
	await page.waitForTimeout(300);
	const count = asked(state, 'query_range').length;
	await page.waitForTimeout(2500);
	assert.ok(asked(state, 'query_range').length <= count + 1, 'it asked while hidden');
	const hidden = asked(state, 'query_range').length;
	await hide(false);
	await until(() => asked(state, 'query_range').length > hidden, 'an answer on return');
});

test('follows the system into the dark, or does as told', async ({ page, open }) => {
	const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
	const brightness = async () => Math.max(...(await background()).match(/\d+/g).map(Number));
	const isDark = () => until(async () => (await brightness()) < 60, 'a dark page');
	const isLight = () => until(async () => (await brightness()) > 200, 'a light page');
	await page.emulateMedia({ colorScheme: 'dark' });
	await open('?q=up');
	await page.waitForSelector('.plot');
	await isDark();
	await page.click('.theme');
	await isLight();
	await page.reload();
	await page.waitForSelector('.plot');
	await isLight();
	await page.click('.theme');
	await isDark();
	await page.click('.theme');
	await page.emulateMedia({ colorScheme: 'light' });
	await isLight();
});

test('fits a narrow screen', async ({ page, open, state }) => {
	state.missing = ['bahrain'];
	await page.setViewportSize({ width: 390, height: 800 });
	await open('?q=' + encodeURIComponent(CPU));
	await page.waitForSelector('.plot canvas');
	const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
	assert.ok(over <= 0, `${over} pixels too wide`);
});

test('can be read by machines that read to people', async ({ page, open }) => {
	await open('?q=up');
	await page.waitForSelector('.plot');
	const nameless = await page.evaluate(() =>
		[...document.querySelectorAll('button, input, select, textarea')]
			.filter((one) => !(one.getAttribute('aria-label') ?? one.title ?? '') && !one.innerText?.trim() && !one.labels?.length)
			.map((one) => one.outerHTML),
	);
	assert.deepEqual(nameless, []);
	assert.equal(await page.getAttribute('html', 'lang'), 'en');
});

test('is small, and asks nobody but its own server', async () => {
	const dist = join(UI, 'dist');
	let total = 0;
	for (const name of ['index.html', ...readdirSync(join(dist, 'assets')).map((one) => join('assets', one))]) {
		const bytes = readFileSync(join(dist, name));
		total += gzipSync(bytes, { level: 9 }).length;
		const foreign = bytes
			.toString()
			.match(/https?:\/\/[\w.-]+/g)
			?.filter((one) => !/w3\.org/.test(one));
		assert.ok(!foreign?.length, `${name}: ${foreign}`);
	}
	assert.ok(total <= BUDGET_BYTES, `${total} bytes of ${BUDGET_BYTES}`);
});

// The functions without a browser.
async function modules() {
	const { build } = require('esbuild');
	const entry = ['time', 'url', 'promql', 'format', 'series'].map((name) => `export * as ${name} from './src/${name}.ts';`).join('\n');
	const { outputFiles } = await build({
		stdin: { contents: entry, resolveDir: UI, loader: 'ts' },
		bundle: true,
		format: 'esm',
		write: false,
	});
	return import('data:text/javascript;base64,' + Buffer.from(outputFiles[0].text).toString('base64'));
}

test('reads and writes durations and times', async () => {
	const { time } = await modules();
	for (const [text, seconds] of [['1h30m', 5400], ['15s', 15], ['90', 90], ['1w', 604800], ['500ms', 0.5]]) {
		assert.equal(time.parseDuration(text), seconds);
	}
	for (const text of ['', '0', 'x', '1 h', '-5m', '5m1h', '1h ago']) {
		assert.equal(time.parseDuration(text), null, text);
	}
	assert.equal(time.formatDuration(5400), '1h30m');
	assert.equal(time.formatDuration(0.25), '250ms');
	assert.equal(time.parseTime('2026-11-22 10:00', true), Date.UTC(2026, 10, 22, 10));
	assert.equal(time.parseTime('2026-02-30 10:00', true), null);
	assert.equal(time.formatTime(Date.UTC(2026, 0, 2, 3, 4, 5), true), '2026-01-02 03:04:05');
});

test('asks for steps on a fixed grid', async () => {
	const { time } = await modules();
	const now = Date.UTC(2026, 10, 22, 10, 0, 7);
	const grid = time.gridOf({ last: 3600 }, null, now);
	assert.deepEqual(grid, { start: now / 1000 - 3600 + 8, end: now / 1000 - 7, step: 15 });
	assert.deepEqual(time.gridOf({ last: 3600 }, null, now + 3000), grid);
	assert.deepEqual(time.gridOf({ from: 1000, to: 2000 }, 60, now), { start: 60, end: 60, step: 60 });
	assert.equal(time.autoStep(7 * 86400), 3600);
});

test('writes an address that reads back to the same view', async () => {
	const { url } = await modules();
	const view = { query: 'a + b{c="&?#"}', tab: 'table', range: { from: 1000, to: 2500 }, step: 30, refresh: 10, utc: true };
	assert.deepEqual(url.parseView(url.formatView(view)), view);
	assert.deepEqual(url.parseView(''), url.FIRST_VIEW);
	assert.deepEqual(url.parseView('?range=nonsense&step=x&tab=y&from=9&to=3'), url.FIRST_VIEW);
});

test('knows what may stand at the caret', async () => {
	const { promql } = await modules();
	const at = (text) => {
		const place = promql.placeAt(text.replace('|', ''), text.indexOf('|'));
		return place && [place.kind, place.typed, place.metric, place.label];
	};
	assert.deepEqual(at('ra|'), ['expression', 'ra', '', '']);
	assert.deepEqual(at('rate(no|'), ['expression', 'no', '', '']);
	assert.deepEqual(at('up{|'), ['label', '', 'up', '']);
	assert.deepEqual(at('up{a="b", c|'), ['label', 'c', 'up', 'a']);
	assert.deepEqual(at('up{job="no|'), ['value', 'no', 'up', 'job']);
	assert.deepEqual(at('up{job=~"a|"}'), ['value', 'a', 'up', 'job']);
	assert.deepEqual(at('sum by (cl|'), ['label', 'cl', '', '']);
	assert.deepEqual(at('a * on(x) group_left(y|'), ['label', 'y', '', '']);
	assert.deepEqual(at('up[5|'), ['duration', '5', '', '']);
	assert.deepEqual(at('sum(up) + co|'), ['expression', 'co', '', '']);
	assert.equal(at('up{a|="b"}')[0], 'label');
	assert.equal(at('up # no|'), null);
	assert.equal(at('42|'), null);
});

test('writes figures short', async () => {
	const { format, series } = await modules();
	assert.deepEqual([0, 999, 1000, 12345, 999_700, 5e12].map(format.bytes), ['0 B', '999 B', '1 kB', '12.3 kB', '1 MB', '5 TB']);
	assert.deepEqual([0, 0.00001, 1234.5, -2e9, null, NaN, Infinity].map(format.short), ['0', '1.00e-5', '1.234k', '-2G', '–', 'NaN', '+Inf']);
	assert.deepEqual([500, 61_000, 5400_000, 80 * 3600_000].map(format.age), ['1 s', '1 min', '1 h 30 min', '3 d']);
	assert.deepEqual(series.onGrid({ labels: {}, points: [[10, '1'], [30, 'NaN'], [40, '4']] }, { start: 10, end: 40, step: 10 }), [1, null, null, 4]);
});

realTests(test, { until, type, inkIn, params });

let demo = null;

// What a test runs against: started once for all where it is real, else its own.
async function startServer(one) {
	if (one.options.isReal) {
		demo ??= await startDemo(BINARY);
		return { demo, close: () => {} };
	}
	const state = newState();
	const mock = await startMock(state);
	return { state, mock, close: mock.close };
}

async function runOne(browser, one) {
	const server = await startServer(one);
	const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, timezoneId: 'Europe/Berlin' });
	const page = await context.newPage();
	page.setDefaultTimeout(PATIENCE_MS);
	const complaints = [];
	context.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
	context.on('weberror', (error) => complaints.push(String(error.error())));
	try {
		await one.run({ page, context, ...server, open: (path = '') => page.goto(server.mock.url + path) });
		const bad = complaints.filter((text) => !one.options.mayFail?.test(text));
		assert.deepEqual(bad, [], 'the browser complained');
	} catch (error) {
		if (process.env.SCREENSHOT) {
			await page.screenshot({ path: process.env.SCREENSHOT, fullPage: true });
		}
		throw error;
	} finally {
		await context.close();
		await server.close();
	}
}

async function main() {
	const wanted = process.argv.slice(2).join(' ');
	const chosen = tests.filter((one) => one.name.includes(wanted));
	if (!existsSync(CHROMIUM)) {
		console.log(`SKIP page: there is no ${CHROMIUM}; apt-get install chromium`);
		console.log(`0 passed, 0 failed, ${chosen.length} skipped`);
		return 0;
	}
	if (!existsSync(join(UI, 'dist/index.html')) || !existsSync(BINARY)) {
		console.log('the page or the program is not built: ./dev build');
		console.log(`0 passed, ${chosen.length} failed, 0 skipped`);
		return 1;
	}
	const { chromium } = require('playwright-core');
	const browser = await chromium.launch({
		executablePath: CHROMIUM,
		args: [
			'--no-sandbox',
			'--disable-gpu',
			'--disable-quic',
			'--no-first-run',
			'--disable-background-networking',
			'--disable-component-update',
			'--disable-sync',
		],
	});
	let failed = 0;
	for (const one of chosen) {
		try {
			await runOne(browser, one);
			console.log('ok      ' + one.name);
		} catch (error) {
			failed++;
			console.log(`FAILED  ${one.name}\n${error.stack}`);
			console.log(`        again: node e2e/page_test.mjs ${one.name}`);
		}
	}
	await browser.close();
	await demo?.stop();
	console.log(`${chosen.length - failed} passed, ${failed} failed, 0 skipped`);
	return failed ? 1 : 0;
}

process.exit(await main());
