// The page as the real program serves it: three clusters and a hub, started by atoll demo.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CLUSTERS = ['bahrain', 'frankfurt', 'madrid'];
const READY_MS = 90_000;
const TRIES = 5;

// Starts a demo with its own state. Throws with what it said when it does not become ready.
async function tryDemo(binary, folder) {
	// Below the ports that the kernel gives to clients.
	const port = 10_000 + Math.floor(Math.random() * 10_000);
	const child = spawn(binary, ['demo', `--state=${folder}`, `--port=${port}`], { stdio: ['ignore', 'pipe', 'pipe'] });
	let text = '';
	const kill = () => child.kill('SIGKILL');
	process.on('exit', kill);
	const ended = new Promise((done) => child.on('close', done)).finally(() => process.off('exit', kill));
	const ready = new Promise((done) => {
		for (const stream of [child.stdout, child.stderr]) {
			stream.on('data', (bytes) => (text += bytes) && text.includes('ready: ') && done(true));
		}
	});
	let timer;
	const late = new Promise((done) => (timer = setTimeout(done, READY_MS)));
	const isReady = await Promise.race([ready, ended, late]);
	clearTimeout(timer);
	if (isReady !== true) {
		kill();
		await ended;
		throw new Error('the demo is not ready: ' + text);
	}
	return { port, child, ended };
}

export async function startDemo(binary) {
	const folder = mkdtempSync(join(tmpdir(), 'atoll-page-'));
	let demo;
	for (let i = 1; !demo; i++) {
		try {
			demo = await tryDemo(binary, folder);
		} catch (error) {
			if (i === TRIES || !error.message.includes('in use')) {
				rmSync(folder, { recursive: true, force: true });
				throw error;
			}
		}
	}
	const run = (...words) => {
		const done = spawnSync(binary, ['demo', ...words, `--state=${folder}`], { encoding: 'utf8', timeout: READY_MS });
		assert.equal(done.status, 0, words.join(' ') + ': ' + done.stdout + done.stderr);
		return done.stdout;
	};
	return {
		url: `http://127.0.0.1:${demo.port}/`,
		monitorUrl: `http://127.0.0.1:${demo.port + 2}/`, // Of the first cluster: src/demo/layout.h.
		run,
		async stop() {
			demo.child.kill('SIGTERM');
			await demo.ended;
			rmSync(folder, { recursive: true, force: true });
		},
	};
}

// Adds the tests by 'test'. Those get 'demo' beside what all get.
export function realTests(test, { until, type, inkIn, params }) {
	const real = (name, run, options = {}) => test('real: ' + name, run, { ...options, isReal: true });
	const MEMORY = 'sum by (cluster) (process_resident_memory_bytes)';
	const open = (page, demo, query, more = '') => page.goto(demo.url + '?q=' + encodeURIComponent(query) + more);
	const cells = (page, selector) => page.locator(selector).allInnerTexts();

	real('shows three clusters that are up, with size, cost and certificate', async ({ page, demo }) => {
		await page.goto(demo.url);
		await page.waitForSelector('.card >> nth=2');
		assert.deepEqual(await cells(page, '.card h3'), CLUSTERS);
		for (const name of CLUSTERS) {
			for (const wanted of [/up \d+ (s|min)/, /\d{3}\s*series/, /\d (B|kB|MB) in [\d.]+ (µs|ms|s)/, /\d+ h left/]) {
				await page.waitForSelector(`.card[data-cluster="${name}"] >> text=${wanted}`);
			}
		}
		assert.match(await page.locator('.clusters h2').innerText(), /all 3 up/);
	});

	real('draws the first question by itself', async ({ page, demo }) => {
		await page.goto(demo.url);
		await page.waitForSelector('.plot canvas');
		await until(async () => (await page.locator('.legend tbody tr').count()) === 3, 'a line of each cluster');
		await until(async () => (await inkIn(page)) > 20, 'something drawn');
	});

	real('draws a line of each cluster and says what it cost', async ({ page, demo }) => {
		await open(page, demo, MEMORY, '&range=1m&refresh=1s');
		await page.waitForSelector('.plot[data-series="3"] canvas');
		await until(async () => (await inkIn(page)) > 200, 'lines');
		const rows = await cells(page, '.legend tbody tr');
		CLUSTERS.forEach((name, i) => assert.match(rows[i], new RegExp(name + '\\s+[\\d.]+M')));
		assert.match(await page.locator('.cost p').innerText(), /3 series in .* received from 3 clusters/);
		for (const name of CLUSTERS) {
			assert.match(await page.locator(`.cost li[data-cluster="${name}"]`).innerText(), /\d (B|kB)/);
		}
	});

	real('shows as a table what the hub answers', async ({ page, demo }) => {
		await open(page, demo, 'count by (cluster) (up == 1)', '&tab=table');
		await page.waitForSelector('.result-table tbody tr >> nth=2');
		assert.deepEqual(
			(await cells(page, '.result-table tbody tr')).map((row) => row.split(/\s+/)),
			CLUSTERS.map((name) => [name, '2']),
		);
	});

	real('is the same after a reload, in the dark too', async ({ page, demo }) => {
		await page.emulateMedia({ colorScheme: 'dark' });
		await page.goto(demo.url);
		await page.waitForSelector('.plot canvas');
		await type(page, MEMORY);
		await page.click('.range-button');
		await page.click('.popover >> text="5 minutes"');
		await page.selectOption('select', '5');
		await page.waitForSelector('.plot[data-series="3"] canvas');
		const address = page.url();
		assert.deepEqual(Object.fromEntries(params(page)), { q: MEMORY, range: '5m', refresh: '5s' });

		await page.reload();
		await page.waitForSelector('.plot[data-series="3"] canvas');
		assert.equal(page.url(), address);
		assert.equal(await page.inputValue('#query'), MEMORY);
		assert.match(await page.locator('.range-button').innerText(), /Last 5 minutes/);
		const background = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
		assert.ok(Math.max(...background.match(/\d+/g).map(Number)) < 60, background);
		await until(async () => (await inkIn(page)) > 50, 'lines in the dark');
	});

	real('points at a mistake as the server does', async ({ page, demo }) => {
		await open(page, demo, 'sum(up');
		await page.waitForSelector('.problem');
		assert.match(await page.locator('.problem').innerText(), /parse error/);
	}, { mayFail: /400/ });

	real('names a cluster whose monitor was killed, until it is back', async ({ page, demo }) => {
		await open(page, demo, 'count by (cluster) (up == 1)', '&tab=table&refresh=1s');
		await page.waitForSelector('.result-table tbody tr >> nth=2');
		const pid = Number(/bahrain[^]*?monitor .* pid (\d+)/.exec(demo.run('status'))[1]);
		process.kill(pid, 'SIGKILL');
		await page.waitForSelector('.warnings >> text=bahrain');
		await page.waitForSelector('.card.is-missing[data-cluster="bahrain"]');
		assert.equal(await page.locator('.result-table tbody tr').count(), 2);
		demo.run('restart', 'bahrain/monitor');
		await page.waitForSelector('.warnings', { state: 'detached' });
		await page.waitForSelector('.result-table tbody tr >> nth=2');
	});

	real('shows a cluster that joins and forgets one that leaves', async ({ page, demo }) => {
		await open(page, demo, 'count by (cluster) (up == 1)', '&tab=table&refresh=1s');
		await page.waitForSelector('.result-table tbody tr >> nth=2');
		demo.run('add-cluster', 'lisbon');
		await page.waitForSelector('.card.is-up[data-cluster="lisbon"]');
		await page.waitForSelector('.result-table >> text=lisbon');
		demo.run('remove-cluster', 'lisbon');
		await page.waitForSelector('.card[data-cluster="lisbon"]', { state: 'detached' });
		await page.waitForSelector('.result-table >> text=lisbon', { state: 'detached' });
		assert.equal(await page.locator('.warnings').count(), 0);
	});

	real('serves a monitor as well', async ({ page, demo }) => {
		await page.goto(demo.monitorUrl);
		await page.waitForSelector('.plot[data-series="2"] canvas');
		assert.equal(await page.locator('.role').innerText(), 'monitor');
		assert.equal(await page.locator('.clusters').count(), 0);
	}, { mayFail: /404/ });
}
