// Durations, ranges and steps. Times are milliseconds since 1970, durations seconds.

const UNITS: [string, number][] = [
	['y', 31536000],
	['w', 604800],
	['d', 86400],
	['h', 3600],
	['m', 60],
	['s', 1],
];

// Reads Prometheus' durations ("1h30m", "15s") and plain seconds; null for anything else.
export function parseDuration(text: string): number | null {
	const trimmed = text.trim();
	if (/^\d+(\.\d+)?$/.test(trimmed)) {
		return Number(trimmed) || null;
	}
	if (!/^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$/.test(trimmed) || !trimmed) {
		return null;
	}
	let seconds = 0;
	for (const [, count, unit] of trimmed.matchAll(/(\d+)(ms|[ywdhms])/g)) {
		const size = unit === 'ms' ? 0.001 : UNITS.find(([name]) => name === unit)![1];
		seconds += Number(count) * size;
	}
	return seconds > 0 ? seconds : null;
}

// The shortest form that parseDuration reads back: 5400 is "1h30m".
export function formatDuration(seconds: number): string {
	if (seconds < 1) {
		return `${Math.round(seconds * 1000)}ms`;
	}
	let rest = Math.round(seconds);
	let text = '';
	for (const [unit, size] of UNITS.slice(2)) {
		if (rest >= size) {
			text += Math.floor(rest / size) + unit;
			rest %= size;
		}
	}
	return text;
}

// What a range is: so many seconds until now, or two fixed times.
export type Range = { last: number } | { from: number; to: number };

export function rangeSeconds(range: Range): number {
	return 'last' in range ? range.last : (range.to - range.from) / 1000;
}

export function rangeEnds(range: Range, now: number): { from: number; to: number } {
	return 'last' in range ? { from: now - range.last * 1000, to: now } : range;
}

const STEPS = [
	1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
];

// About 'points' steps over the range, of a length that people count in.
export function autoStep(seconds: number, points = 240): number {
	const exact = seconds / points;
	return STEPS.find((step) => step >= exact) ?? Math.ceil(exact / 86400) * 86400;
}

export interface Grid {
	start: number; // Seconds.
	end: number;
	step: number;
}

// The steps to ask for. Both ends lie on multiples of the step, so that asking again a little later
// asks for mostly the same steps.
export function gridOf(range: Range, step: number | null, now: number): Grid {
	const ends = rangeEnds(range, now);
	const size = step ?? autoStep((ends.to - ends.from) / 1000);
	const start = Math.ceil(ends.from / 1000 / size) * size;
	const end = Math.max(start, Math.floor(ends.to / 1000 / size) * size);
	return { start: round(start), end: round(end), step: size };
}

function round(seconds: number): number {
	return Math.round(seconds * 1000) / 1000;
}

function pad(value: number, length = 2): string {
	return String(value).padStart(length, '0');
}

// "2026-11-22 10:00:05" in the browser's zone or UTC.
export function formatTime(ms: number, utc: boolean): string {
	const t = new Date(ms);
	const p = utc
		? [t.getUTCFullYear(), t.getUTCMonth(), t.getUTCDate(), t.getUTCHours(), t.getUTCMinutes(), t.getUTCSeconds()]
		: [t.getFullYear(), t.getMonth(), t.getDate(), t.getHours(), t.getMinutes(), t.getSeconds()];
	return `${p[0]}-${pad(p[1] + 1)}-${pad(p[2])} ${pad(p[3])}:${pad(p[4])}:${pad(p[5])}`;
}

// Reads what formatTime writes, the seconds and the time being optional; null for anything else.
export function parseTime(text: string, utc: boolean): number | null {
	const m = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text.trim());
	if (!m) {
		return null;
	}
	const [y, mo, d, h, mi, s] = m.slice(1).map((part) => Number(part ?? 0));
	const ms = utc ? Date.UTC(y, mo - 1, d, h, mi, s) : new Date(y, mo - 1, d, h, mi, s).getTime();
	const back = formatTime(ms, utc);
	return back.startsWith(`${m[1]}-${m[2]}-${m[3]}`) ? ms : null;
}
