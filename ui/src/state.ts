// What the page knows, as signals; and the few things that happen to it.
import { computed, signal } from '@preact/signals';
import * as api from './api';
import { gridOf, rangeEnds, rangeSeconds, type Range } from './time';
import { formatView, parseView, type View } from './url';

export const view = signal<View>(parseView(location.search));
export const draft = signal(view.value.query); // What stands in the editor.
export const answer = signal<api.Answer | null>(null);
export const problem = signal<api.ApiError | null>(null);
export const loading = signal(false);

// undefined: not known yet; null: this is a monitor.
export const clusters = signal<api.Cluster[] | null | undefined>(undefined);
export const clustersStale = signal(false);
export const version = signal('');

// Bytes received by cluster, one figure per look.
export interface Flow {
	total: number;
	at: number;
	perSecond: number[];
	errorsAtFirst: number; // What had failed before anybody looked is not news.
}
export const flows = signal<Record<string, Flow>>({});

export const isHub = computed(() => Array.isArray(clusters.value));

const CLUSTERS_EVERY_MS = 5000;
const FLOW_POINTS = 40;
const HISTORY_KEY = 'atoll.history';
const HISTORY_MAX = 20;

let running: AbortController | null = null;

// Runs the query of the view. An older one that is still out is given up.
export async function run(): Promise<void> {
	const { query, tab, range, step } = view.value;
	running?.abort();
	if (!query.trim()) {
		answer.value = null;
		problem.value = null;
		loading.value = false;
		return;
	}
	const mine = new AbortController();
	running = mine;
	loading.value = true;
	try {
		const now = Date.now();
		const found =
			tab === 'graph'
				? await api.queryRange(query, gridOf(range, step, now), mine.signal)
				: await api.queryInstant(query, rangeEnds(range, now).to / 1000, mine.signal);
		if (running === mine) {
			answer.value = found;
			problem.value = null;
		}
	} catch (error) {
		if (running === mine) {
			problem.value = error instanceof api.ApiError ? error : new api.ApiError('internal', String(error));
		}
	} finally {
		if (running === mine) {
			loading.value = false;
			schedule();
		}
	}
}

// Changes the view, puts it into the address and runs it.
export function change(part: Partial<View>): void {
	view.value = { ...view.value, ...part };
	const search = formatView(view.value);
	if (search !== location.search) {
		history.pushState(null, '', search);
	}
	if (part.tab && answer.value) {
		answer.value = null; // Of the other kind.
	}
	void run();
}

// Runs what stands in the editor, or 'text' put there.
export function ask(text = draft.value): void {
	draft.value = text;
	remember(text.trim());
	change({ query: text.trim() });
}

export function remembered(): string[] {
	try {
		const list: unknown = JSON.parse(localStorage.getItem(HISTORY_KEY) ?? '[]');
		return Array.isArray(list) ? list.filter((one) => typeof one === 'string') : [];
	} catch {
		return [];
	}
}

function remember(query: string): void {
	if (query) {
		const list = [query, ...remembered().filter((one) => one !== query)].slice(0, HISTORY_MAX);
		try {
			localStorage.setItem(HISTORY_KEY, JSON.stringify(list));
		} catch {
			// A browser that keeps nothing: the page works without.
		}
	}
}

let zoomedFrom: Range | null = null;

export function zoom(from: number, to: number): void {
	if ('last' in view.value.range) {
		zoomedFrom = view.value.range;
	}
	change({ range: { from, to }, refresh: 0 });
}

export function zoomOut(): void {
	if (zoomedFrom && !('last' in view.value.range)) {
		change({ range: zoomedFrom });
		return;
	}
	const ends = rangeEnds(view.value.range, Date.now());
	const half = (ends.to - ends.from) / 2;
	change({
		range:
			'last' in view.value.range
				? { last: view.value.range.last * 2 }
				: { from: ends.from - half, to: Math.min(ends.to + half, Date.now()) },
	});
}

// Moves the range by half its length; 'direction' is -1 or 1.
export function shift(direction: number): void {
	const ends = rangeEnds(view.value.range, Date.now());
	const by = (direction * rangeSeconds(view.value.range) * 1000) / 2;
	change({ range: { from: ends.from + by, to: ends.to + by } });
}

let refreshTimer = 0;
let refreshDue = false;

// Asks again after the refresh time, but not while nobody looks.
function schedule(): void {
	clearTimeout(refreshTimer);
	refreshDue = false;
	if (view.value.refresh > 0) {
		refreshTimer = window.setTimeout(() => {
			if (document.hidden) {
				refreshDue = true;
			} else {
				void run();
			}
		}, view.value.refresh * 1000);
	}
}

function updateFlows(list: api.Cluster[]): void {
	const now = Date.now();
	const next: Record<string, Flow> = {};
	for (const one of list) {
		const before = flows.value[one.cluster];
		const grown = before ? one.receivedBytes - before.total : 0;
		const seconds = before ? Math.max(0.5, (now - before.at) / 1000) : 1;
		const rates = before ? [...before.perSecond, Math.max(0, grown) / seconds] : [];
		next[one.cluster] = {
			total: one.receivedBytes,
			at: now,
			perSecond: rates.slice(-FLOW_POINTS),
			errorsAtFirst: Math.min(before?.errorsAtFirst ?? one.errors, one.errors),
		};
	}
	flows.value = next;
}

async function look(): Promise<void> {
	try {
		const list = await api.clusters();
		clusters.value = list;
		clustersStale.value = false;
		updateFlows(list ?? []);
	} catch {
		clustersStale.value = true;
	}
}

let lookTimer = 0;

async function keepLooking(): Promise<void> {
	clearTimeout(lookTimer);
	if (!document.hidden) {
		await look();
	}
	clearTimeout(lookTimer); // Of another call meanwhile.
	if (clusters.value !== null) {
		lookTimer = window.setTimeout(() => void keepLooking(), CLUSTERS_EVERY_MS);
	}
}

const FIRST_QUERY_HUB = 'sum by (cluster) (rate(node_cpu_seconds_total{mode!="idle"}[1m]))';
const FIRST_QUERY_MONITOR = 'up';

export const EXAMPLES_HUB = [
	['Who is up, by cluster', 'count by (cluster) (up == 1)'],
	['CPU in use, by cluster', FIRST_QUERY_HUB],
	['The fullest file systems anywhere', 'topk(3, 1 - node_filesystem_avail_bytes / node_filesystem_size_bytes)'],
	['Memory in use, by cluster', 'sum by (cluster) (node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)'],
];
export const EXAMPLES_MONITOR = [
	['Who is up', FIRST_QUERY_MONITOR],
	['How long scrapes take', 'topk(5, scrape_duration_seconds)'],
	['CPU in use, by machine', 'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[1m]))'],
	['Samples per scrape', 'scrape_samples_scraped'],
];

// Called once.
export async function start(): Promise<void> {
	addEventListener('popstate', () => {
		view.value = parseView(location.search);
		draft.value = view.value.query;
		answer.value = null;
		void run();
	});
	document.addEventListener('visibilitychange', () => {
		if (!document.hidden) {
			void keepLooking();
			if (refreshDue) {
				void run();
			}
		}
	});
	void api.version().then((text) => (version.value = text), () => undefined);
	if (view.value.query) {
		void run();
	}
	await keepLooking();
	if (!view.value.query && !draft.value) {
		// Somebody came without a question: show something alive, and keep it so.
		draft.value = isHub.value ? FIRST_QUERY_HUB : FIRST_QUERY_MONITOR;
		const fresh = location.search ? {} : { range: { last: 900 }, refresh: 10 };
		view.value = { ...view.value, ...fresh, query: draft.value };
		history.replaceState(null, '', formatView(view.value));
		void run();
	}
}
