// The Prometheus HTTP API, and the one endpoint of the hub's own.
import type { Grid } from './time';

export type Labels = Record<string, string>;

export interface Series {
	labels: Labels;
	points: [number, string][]; // Seconds and the value as sent.
}

export interface ClusterStats {
	cluster: string;
	receivedBytes: number;
	fragments: number;
	waitMs: number;
	error?: string;
}

export interface Answer {
	type: 'matrix' | 'vector' | 'scalar' | 'string';
	series: Series[];
	warnings: string[];
	infos: string[];
	clusters: ClusterStats[];
	tookMs: number;
	grid: Grid | null; // Of a range.
	time: number; // Of an instant: seconds.
}

export interface Cluster {
	cluster: string;
	state: 'up' | 'connecting' | 'down';
	address: string;
	identity: string;
	lastError: string;
	sinceMs: number;
	rttMs: number | null;
	receivedBytes: number;
	sentBytes: number;
	certNotAfterMs: number;
	ownCertNotAfterMs: number;
	exports: { name: string; kind: string }[];
	catalogueAgeMs: number;
	lastAnswer: { bytes: number; durationMs: number; series: number; atMs: number } | null;
	queries: number;
	errors: number;
	series: number | null;
}

// What went wrong, as the server says it; 'type' is Prometheus' errorType, or "network".
export class ApiError extends Error {
	constructor(
		readonly type: string,
		message: string,
		readonly status = 0,
	) {
		super(message);
	}
}

interface Envelope {
	status?: string;
	data?: unknown;
	errorType?: string;
	error?: string;
	warnings?: string[];
	infos?: string[];
}

function address(path: string): string {
	return new URL('api/v1/' + path, document.baseURI).toString();
}

async function read(response: Response): Promise<Envelope> {
	let body: Envelope;
	try {
		body = await response.json();
	} catch {
		throw new ApiError(
			'network',
			`The server answered ${response.status} ${response.statusText} without JSON.`,
			response.status,
		);
	}
	if (body.status !== 'success') {
		throw new ApiError(
			body.errorType ?? 'unknown',
			body.error ?? `The server answered ${response.status}.`,
			response.status,
		);
	}
	return body;
}

async function call(path: string, form: Record<string, string> | null, signal?: AbortSignal): Promise<Envelope> {
	let response: Response;
	try {
		response = await fetch(address(path), {
			method: form ? 'POST' : 'GET',
			body: form ? new URLSearchParams(form) : undefined,
			signal,
		});
	} catch (error) {
		if (signal?.aborted) {
			throw error;
		}
		throw new ApiError('network', 'The server cannot be reached. Is it still running?');
	}
	return read(response);
}

interface QueryData {
	resultType: Answer['type'];
	result: unknown;
	stats?: { clusters?: ClusterStats[] };
}

type Pair = [number, string];

function seriesOf(data: QueryData): Series[] {
	if (data.resultType === 'scalar' || data.resultType === 'string') {
		return [{ labels: {}, points: [data.result as Pair] }];
	}
	const list = data.result as {
		metric: Labels;
		value?: Pair;
		values?: Pair[];
		histogram?: [number, unknown];
		histograms?: [number, unknown][];
	}[];
	return list.map((one) => ({
		labels: one.metric,
		points:
			one.values ??
			(one.value ? [one.value] : (one.histogram ? [one.histogram] : (one.histograms ?? [])).map(
				([at]) => [at, 'histogram'] as Pair,
			)),
	}));
}

async function query(path: string, form: Record<string, string>, signal: AbortSignal) {
	const began = performance.now();
	const body = await call(path, { ...form, stats: 'all' }, signal);
	const data = body.data as QueryData;
	return {
		type: data.resultType,
		series: seriesOf(data),
		warnings: body.warnings ?? [],
		infos: body.infos ?? [],
		clusters: data.stats?.clusters ?? [],
		tookMs: performance.now() - began,
	};
}

export async function queryRange(text: string, grid: Grid, signal: AbortSignal): Promise<Answer> {
	const form = { query: text, start: String(grid.start), end: String(grid.end), step: String(grid.step) };
	return { ...(await query('query_range', form, signal)), grid, time: grid.end };
}

export async function queryInstant(text: string, time: number, signal: AbortSignal): Promise<Answer> {
	const form = { query: text, time: String(time) };
	return { ...(await query('query', form, signal)), grid: null, time };
}

// Names for completion. 'metric' narrows to the labels of one metric.
export async function labelNames(metric: string): Promise<string[]> {
	const match = metric ? '?match[]=' + encodeURIComponent(metric) : '';
	return (await call('labels' + match, null)).data as string[];
}

export async function labelValues(label: string, metric = ''): Promise<string[]> {
	const match = metric ? '?match[]=' + encodeURIComponent(metric) : '';
	return (await call(`label/${encodeURIComponent(label)}/values${match}`, null)).data as string[];
}

// The hub's clusters; null on a monitor, which has none.
export async function clusters(): Promise<Cluster[] | null> {
	try {
		const data = (await call('atoll/clusters', null)).data as { clusters: Cluster[] };
		return data.clusters;
	} catch (error) {
		if (error instanceof ApiError && error.status === 404) {
			return null;
		}
		throw error;
	}
}

export async function version(): Promise<string> {
	// "version" is the Prometheus whose API this is.
	const data = (await call('status/buildinfo', null)).data as { atollVersion?: string };
	return data.atollVersion ?? '';
}
