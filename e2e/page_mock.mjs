// A hub made up for the page's tests: serves ui/dist and answers the API from the figures below.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = join(ROOT, 'ui/dist');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

// The policy that the program sends, so that the page is tried under it.
export function policy() {
	const file = join(ROOT, 'src/api/page.c');
	const found = existsSync(file) && /CONTENT_SECURITY_POLICY((?:\s|\\|"[^"]*")+)/.exec(readFileSync(file, 'utf8'));
	if (!found) {
		throw new Error('src/api/page.c has no CONTENT_SECURITY_POLICY');
	}
	return [...found[1].matchAll(/"([^"]*)"/g)].map((part) => part[1]).join('');
}

const METRICS = [
	'node_cpu_seconds_total',
	'node_filesystem_avail_bytes',
	'node_memory_MemAvailable_bytes',
	'node_memory_MemTotal_bytes',
	'process_cpu_seconds_total',
	'up',
];

export function cluster(name, more = {}) {
	const hour = 3600_000;
	return {
		cluster: name,
		state: 'up',
		address: '127.0.0.1:9500',
		identity: `gateway.atoll.serviceaccount.identity.linkerd.${name}`,
		lastError: '',
		sinceMs: Date.now() - 3 * hour,
		rttMs: 1.2,
		receivedBytes: 1_430_000,
		sentBytes: 52_000,
		certNotAfterMs: Date.now() + 22.4 * hour,
		ownCertNotAfterMs: Date.now() + 23 * hour,
		exports: [{ name: 'prometheus', kind: 'prometheus' }],
		catalogueAgeMs: 900,
		lastAnswer: { bytes: 4120, durationMs: 8.4, series: 12, atMs: Date.now() - 2000 },
		queries: 431,
		errors: 0,
		series: 12345,
		...more,
	};
}

// What a test may change: the clusters, who does not answer, whether it is a hub at all.
export function newState() {
	return {
		isHub: true,
		clusters: [cluster('bahrain', { rttMs: 84.1, series: 8211 }), cluster('frankfurt'), cluster('madrid', { rttMs: 31.4, series: 2967 })],
		missing: [],
		requests: [],
		delayMs: 0,
	};
}

function value(name, at) {
	const phase = [...name].reduce((sum, c) => sum + c.charCodeAt(0), 0);
	return (2 + (phase % 3) + Math.sin(at / 600 + phase) + 0.15 * Math.sin(at / 37 + phase)).toFixed(4);
}

function labelSets(state, query) {
	const names = state.isHub ? state.clusters.map((one) => one.cluster).filter((name) => !state.missing.includes(name)) : [];
	if (query.includes('nothing')) {
		return [];
	}
	const many = /many\((\d+)\)/.exec(query);
	if (many) {
		return Array.from({ length: Number(many[1]) }, (_, i) => ({ __name__: 'up', instance: `host-${i}:9100`, job: 'node' }));
	}
	if (query.includes('by (cluster)')) {
		return names.map((name) => ({ cluster: name }));
	}
	return (names.length ? names : ['']).flatMap((name) =>
		['prometheus', 'node'].map((job) => ({ __name__: 'up', ...(name && { cluster: name }), instance: `${name || 'host'}:9100`, job })),
	);
}

function queryData(state, form) {
	const query = form.get('query');
	const isRange = form.has('step');
	const sets = labelSets(state, query);
	const points = [];
	if (isRange) {
		for (let t = Number(form.get('start')); t <= Number(form.get('end')); t += Number(form.get('step'))) {
			points.push(t);
		}
	}
	const result = sets.map((metric) =>
		isRange
			? { metric, values: points.map((t) => [t, value(JSON.stringify(metric), t)]) }
			: { metric, value: [Number(form.get('time')), value(JSON.stringify(metric), Number(form.get('time')))] },
	);
	const stats = state.isHub && {
		clusters: state.clusters.map(({ cluster: name }, i) =>
			state.missing.includes(name)
				? { cluster: name, receivedBytes: 0, fragments: 1, waitMs: 5000, error: 'no connection to the gateway' }
				: { cluster: name, receivedBytes: 3800 - i * 900, fragments: 1, waitMs: 8 + i, error: '' },
		),
	};
	const warnings = state.missing.map((name) => `cluster "${name}" did not answer: no connection to the gateway`);
	return {
		status: 'success',
		data: { resultType: isRange ? 'matrix' : 'vector', result, ...(form.get('stats') && stats && { stats }) },
		...(warnings.length && { warnings }),
	};
}

function api(state, path, form) {
	if (path === 'query' || path === 'query_range') {
		const query = form.get('query') ?? '';
		if (query.includes('((')) {
			return [400, { status: 'error', errorType: 'bad_data', error: 'invalid parameter "query": 1:6: parse error: unexpected end of input' }];
		}
		return [200, queryData(state, form)];
	}
	if (path === 'label/__name__/values') {
		return [200, { status: 'success', data: METRICS }];
	}
	if (path === 'label/cluster/values') {
		return [200, { status: 'success', data: state.clusters.map((one) => one.cluster) }];
	}
	if (path === 'labels') {
		return [200, { status: 'success', data: ['__name__', 'cluster', 'instance', 'job', 'mode'] }];
	}
	if (path === 'status/buildinfo') {
		return [200, { status: 'success', data: { version: '3.14.0', application: 'atoll', atollVersion: '0.1.0' } }];
	}
	if (path === 'atoll/clusters' && state.isHub) {
		state.clusters.forEach((one, i) => (one.receivedBytes += one.state === 'up' ? 2000 + 1500 * Math.random() * (i + 1) : 0));
		return [200, { status: 'success', data: { clusters: state.clusters } }];
	}
	return [404, { status: 'error', errorType: 'not_found', error: 'not found' }];
}

async function body(request) {
	const parts = [];
	for await (const part of request) {
		parts.push(part);
	}
	return Buffer.concat(parts).toString();
}

async function asset(path, response) {
	const name = ['/', '/graph', '/query'].includes(path) ? '/index.html' : normalize(path);
	const bytes = await readFile(join(DIST, name));
	response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream', 'content-security-policy': policy() });
	response.end(bytes);
}

async function serve(state, request, response) {
	const url = new URL(request.url, 'http://localhost');
	if (!url.pathname.startsWith('/api/v1/')) {
		return asset(url.pathname, response);
	}
	const form = request.method === 'POST' ? new URLSearchParams(await body(request)) : url.searchParams;
	const path = decodeURIComponent(url.pathname.slice('/api/v1/'.length));
	state.requests.push({ path, form: Object.fromEntries(form) });
	if (state.delayMs && path.startsWith('query')) {
		await new Promise((done) => setTimeout(done, state.delayMs));
	}
	const [status, answer] = api(state, path, form);
	response.writeHead(status, { 'content-type': 'application/json' });
	response.end(JSON.stringify(answer));
}

// Starts it on a free port. 'state' may be changed while it runs.
export async function startMock(state) {
	const server = createServer((request, response) => {
		serve(state, request, response).catch(() => {
			response.writeHead(404);
			response.end();
		});
	});
	await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
	return { url: `http://127.0.0.1:${server.address().port}/`, close: () => new Promise((done) => (server.closeAllConnections(), server.close(done))) };
}
