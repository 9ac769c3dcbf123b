// What series of one answer have in common and how they differ; their numbers.
import type { Labels, Series } from './api';
import type { Grid } from './time';

export function commonLabels(series: Series[]): Labels {
	if (series.length < 2) {
		return {};
	}
	const common: Labels = { ...series[0].labels };
	for (const { labels } of series) {
		for (const name of Object.keys(common)) {
			if (labels[name] !== common[name]) {
				delete common[name];
			}
		}
	}
	return common;
}

// The names of the labels that are not common, the cluster first, then the metric, then by name.
export function differingNames(series: Series[], common: Labels): string[] {
	const names = new Set<string>();
	for (const { labels } of series) {
		Object.keys(labels).forEach((name) => names.add(name));
	}
	const order = (name: string) => (name === 'cluster' ? '0' : name === '__name__' ? '1' : '2' + name);
	return [...names].filter((name) => !(name in common)).sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

export function labelText(labels: Labels): string {
	const pairs = Object.entries(labels)
		.filter(([name]) => name !== '__name__')
		.map(([name, value]) => `${name}=${JSON.stringify(value)}`);
	const metric = labels.__name__ ?? '';
	return pairs.length || !metric ? `${metric}{${pairs.join(', ')}}` : metric;
}

// Prometheus' spelling of values to numbers.
export function number(text: string): number {
	return text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : text === 'histogram' ? NaN : Number(text);
}

// One value per step of the grid, null where there is none or none that can be drawn.
export function onGrid(series: Series, grid: Grid): (number | null)[] {
	const count = Math.floor((grid.end - grid.start) / grid.step + 1.5);
	const values: (number | null)[] = new Array(count).fill(null);
	for (const [at, text] of series.points) {
		const i = Math.round((at - grid.start) / grid.step);
		const value = number(text);
		if (i >= 0 && i < count && Number.isFinite(value)) {
			values[i] = value;
		}
	}
	return values;
}

// A short name where labels that are common to all were left out.
export function shortName(labels: Labels): string {
	return labels.__name__ !== undefined
		? labelText(labels)
		: Object.entries(labels)
				.map(([name, value]) => `${name}=${value || '""'}`)
				.join(' ');
}

export interface Summary {
	last: number | null;
	min: number | null;
	max: number | null;
	mean: number | null;
}

export function summary(series: Series): Summary {
	let min = Infinity;
	let max = -Infinity;
	let sum = 0;
	let count = 0;
	for (const [, text] of series.points) {
		const value = number(text);
		if (!Number.isNaN(value)) {
			min = Math.min(min, value);
			max = Math.max(max, value);
			sum += value;
			count++;
		}
	}
	const last = series.points.length ? number(series.points[series.points.length - 1][1]) : null;
	return count ? { last, min, max, mean: sum / count } : { last, min: null, max: null, mean: null };
}
