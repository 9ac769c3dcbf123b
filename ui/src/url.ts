// The whole state of the page as a query string, so that an address is all there is to share.
import { formatDuration, parseDuration, type Range } from './time';

export interface View {
	query: string;
	tab: 'graph' | 'table';
	range: Range;
	step: number | null; // Seconds; null: from the range.
	refresh: number; // Seconds; 0: never by itself.
	utc: boolean;
}

export const FIRST_VIEW: View = {
	query: '',
	tab: 'graph',
	range: { last: 3600 },
	step: null,
	refresh: 0,
	utc: false,
};

function parseRange(params: URLSearchParams): Range {
	const from = Number(params.get('from'));
	const to = Number(params.get('to'));
	if (from > 0 && to > from) {
		return { from: from * 1000, to: to * 1000 };
	}
	const last = parseDuration(params.get('range') ?? '');
	return last ? { last } : FIRST_VIEW.range;
}

// Links to Prometheus' own page (alerts and Grafana make them) name things g0.expr and so on.
function translate(params: URLSearchParams): URLSearchParams {
	if (!params.has('g0.expr')) {
		return params;
	}
	const out = new URLSearchParams();
	out.set('q', params.get('g0.expr') ?? '');
	out.set('tab', ['1', 'table'].includes(params.get('g0.tab') ?? '') ? 'table' : 'graph');
	const last = parseDuration(params.get('g0.range_input') ?? '');
	const end = Date.parse((params.get('g0.end_input') ?? '').replace(' ', 'T') + 'Z');
	if (last && !Number.isNaN(end)) {
		out.set('from', String(end / 1000 - last));
		out.set('to', String(end / 1000));
	} else if (last) {
		out.set('range', formatDuration(last));
	}
	return out;
}

export function parseView(search: string): View {
	const params = translate(new URLSearchParams(search));
	return {
		query: params.get('q') ?? '',
		tab: params.get('tab') === 'table' ? 'table' : 'graph',
		range: parseRange(params),
		step: parseDuration(params.get('step') ?? ''),
		refresh: parseDuration(params.get('refresh') ?? '') ?? 0,
		utc: params.get('tz') === 'utc',
	};
}

export function formatView(view: View): string {
	const params = new URLSearchParams();
	if (view.query) {
		params.set('q', view.query);
	}
	if (view.tab !== 'graph') {
		params.set('tab', view.tab);
	}
	if ('last' in view.range) {
		params.set('range', formatDuration(view.range.last));
	} else {
		params.set('from', String(view.range.from / 1000));
		params.set('to', String(view.range.to / 1000));
	}
	if (view.step) {
		params.set('step', formatDuration(view.step));
	}
	if (view.refresh) {
		params.set('refresh', formatDuration(view.refresh));
	}
	if (view.utc) {
		params.set('tz', 'utc');
	}
	return '?' + params.toString();
}
