// Figures for people.

const BYTES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

// Three digits at most: 999, 12.3, 1.05.
function three(value: number): string {
	const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
	return String(Number(value.toFixed(digits)));
}

export function bytes(value: number): string {
	let unit = 0;
	while (Math.abs(value) >= 999.5 && unit < BYTES.length - 1) {
		value /= 1000;
		unit++;
	}
	return `${three(value)} ${BYTES[unit]}`;
}

export function count(value: number): string {
	return value.toLocaleString('en-US');
}

export function milliseconds(value: number): string {
	if (value >= 1000) {
		return `${three(value / 1000)} s`;
	}
	return value >= 1 ? `${three(value)} ms` : `${Math.round(value * 1000)} µs`;
}

// The largest unit that fits, and the next if the first is small: "23 h", "1 d 4 h", "45 s".
export function age(ms: number): string {
	const seconds = Math.max(0, Math.round(ms / 1000));
	const units: [number, string][] = [
		[86400, 'd'],
		[3600, 'h'],
		[60, 'min'],
		[1, 's'],
	];
	const at = units.findIndex(([size]) => seconds >= size);
	if (at < 0) {
		return '0 s';
	}
	const [size, name] = units[at];
	const whole = Math.floor(seconds / size);
	const next = units[at + 1];
	const rest = next && whole < 3 && at < 2 ? Math.floor((seconds % size) / next[0]) : 0;
	return `${whole} ${name}` + (rest ? ` ${rest} ${next[1]}` : '');
}

const SI: [number, string][] = [
	[1e15, 'P'],
	[1e12, 'T'],
	[1e9, 'G'],
	[1e6, 'M'],
	[1e3, 'k'],
];

// A sample's value, short: for the axis and the legend.
export function short(value: number | null): string {
	if (value === null || Number.isNaN(value)) {
		return value === null ? '–' : 'NaN';
	}
	const size = Math.abs(value);
	if (size === Infinity) {
		return value > 0 ? '+Inf' : '-Inf';
	}
	if (size >= 1e18 || (size < 1e-4 && size > 0)) {
		return value.toExponential(2);
	}
	const unit = SI.find(([from]) => size >= from);
	if (unit) {
		return String(Number((value / unit[0]).toPrecision(4))) + unit[1];
	}
	return String(Number(value.toPrecision(4)));
}
