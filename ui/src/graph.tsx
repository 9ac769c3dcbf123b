// The graph of a range, and the table of its series below it.
import { signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Answer, Series } from './api';
import { short } from './format';
import { commonLabels, labelText, onGrid, shortName, summary } from './series';
import { view, zoom, zoomOut } from './state';
import { isDark } from './theme';
import { formatTime } from './time';
import { LabelList } from './labels';

// More lines than this nobody can tell apart, and a browser draws slowly.
const DRAWN_MAX = 200;
const ROWS_FIRST = 20;
const TOOLTIP_MAX = 10;
// Pixels between two moments on the time axis: hours, minutes and seconds fit, with room.
const TIME_SPACE = 84;
// Of the window's height, so that the first series' figures are in sight too.
const HEIGHT_PART = 0.38;

const LIGHT = ['#0e8f95', '#d9622b', '#5b57c7', '#3f8f3a', '#c23a6b', '#a07a00', '#2a78c8', '#8a4fbd', '#7a6552', '#c24040'];
const DARK = ['#3fc6cc', '#ff9a5c', '#a3a0ff', '#7fd077', '#ff85ad', '#e3c04b', '#74b8ff', '#cd9bff', '#c9b29c', '#ff8a8a'];

export function colour(index: number): string {
	const palette = isDark.value ? DARK : LIGHT;
	return palette[index % palette.length];
}

// The series that alone is shown; null: all.
const alone = signal<string | null>(null);

interface Line {
	key: string;
	name: string;
	values: (number | null)[];
	index: number;
}

function cssColour(name: string): string {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A single step cannot make a line; few and scattered ones are easier seen as dots.
function seriesOptions(line: Line): uPlot.Series {
	return {
		label: line.name,
		stroke: colour(line.index),
		width: 1.5,
		show: alone.value === null || alone.value === line.key,
		points: { show: undefined, size: 5, fill: colour(line.index) },
	};
}

function zoomPlugin(): uPlot.Plugin {
	return {
		hooks: {
			setSelect: (plot) => {
				if (plot.select.width > 4) {
					const from = plot.posToVal(plot.select.left, 'x');
					const to = plot.posToVal(plot.select.left + plot.select.width, 'x');
					zoom(Math.round(from) * 1000, Math.max(Math.round(to), Math.round(from) + 1) * 1000);
				}
				plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
			},
			ready: (plot) => {
				plot.over.addEventListener('dblclick', () => zoomOut());
			},
		},
	};
}

export interface Hover {
	index: number;
	left: number;
	top: number;
	value: number; // On the value axis, under the pointer.
}

function hoverPlugin(onHover: (hover: Hover | null) => void): uPlot.Plugin {
	return {
		hooks: {
			setCursor: (plot) => {
				const { left, top, idx } = plot.cursor;
				if (idx === null || idx === undefined || left === undefined || top === undefined || left < 0) {
					onHover(null);
				} else {
					onHover({ index: idx, left, top, value: plot.posToVal(top, 'y') });
				}
			},
		},
	};
}

function plotOptions(lines: Line[], width: number, height: number, onHover: (hover: Hover | null) => void): uPlot.Options {
	const ink = cssColour('--ink-soft');
	const rule = { stroke: cssColour('--rule'), width: 1 };
	const font = '12px system-ui, sans-serif';
	return {
		width,
		height,
		padding: [8, 30, 0, 0], // Right: half of a time, which may stand at the very end.
		legend: { show: false },
		tzDate: (seconds) => (view.value.utc ? uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') : new Date(seconds * 1000)),
		cursor: {
			drag: { x: true, y: false, setScale: false },
			focus: { prox: 24 },
			points: { size: 7 },
		},
		focus: { alpha: 0.35 },
		scales: { x: { time: true }, y: { range: (_, low, high) => valueRange(low, high) } },
		axes: [
			{ stroke: ink, grid: rule, ticks: { ...rule, size: 6 }, font, space: TIME_SPACE, values: timeLabels() },
			{ stroke: ink, grid: rule, ticks: { show: false }, font, size: 58, values: (_, ticks) => ticks.map(short) },
		],
		series: [{}, ...lines.map(seriesOptions)],
		plugins: [zoomPlugin(), hoverPlugin(onHover)],
	};
}

// 24-hour clocks and ISO dates, whatever uPlot's own taste.
function timeLabels(): uPlot.Axis.Values {
	const year = '{YYYY}';
	const day = '\n{YYYY}-{MM}-{DD}';
	return [
		[3600 * 24 * 365, year, null, null, null, null, null, null, 1],
		[3600 * 24 * 28, '{YYYY}-{MM}', null, null, null, null, null, null, 1],
		[3600 * 24, '{MM}-{DD}', '\n' + year, null, null, null, null, null, 1],
		[3600, '{HH}:{mm}', day, null, day, null, null, null, 1],
		[60, '{HH}:{mm}', day, null, day, null, null, null, 1],
		[1, '{HH}:{mm}:{ss}', day, null, day, null, null, null, 1],
	];
}

// Room above and below; zero is kept when it is near, so that small changes are not blown up.
function valueRange(low: number | null, high: number | null): uPlot.Range.MinMax {
	if (low === null || high === null) {
		return [0, 1];
	}
	if (low === high) {
		const by = Math.abs(low) * 0.1 || 1;
		return low >= 0 ? [Math.max(0, low - by), high + by] : [low - by, Math.min(0, high + by) || high + by];
	}
	const room = (high - low) * 0.06;
	const isNearZero = low >= 0 && low < high * 0.5;
	return [isNearZero ? 0 : low - room, high + room];
}

function Tooltip({ hover, lines, times, width }: { hover: Hover; lines: Line[]; times: number[]; width: number }) {
	const distance = (line: Line) => Math.abs((line.values[hover.index] as number) - hover.value);
	const shown = lines
		.filter((line) => line.values[hover.index] !== null && (alone.value === null || alone.value === line.key))
		.sort((a, b) => distance(a) - distance(b));
	const near = shown.slice(0, TOOLTIP_MAX).sort((a, b) => b.values[hover.index]! - a.values[hover.index]!);
	if (!near.length) {
		return null;
	}
	const isRight = hover.left > width / 2;
	return (
		<div class={isRight ? 'tooltip is-right' : 'tooltip'} style={{ left: `${hover.left}px`, top: `${hover.top}px` }}>
			<time>{formatTime(times[hover.index] * 1000, view.value.utc)}</time>
			{near.map((line) => (
				<div class={line === shown[0] ? 'is-nearest' : ''}>
					<i style={{ background: colour(line.index) }} />
					<span>{line.name}</span>
					<b>{short(line.values[hover.index])}</b>
				</div>
			))}
			{shown.length > near.length && <small>and {shown.length - near.length} more</small>}
		</div>
	);
}

function Plot({ answer, lines }: { answer: Answer; lines: Line[] }) {
	const place = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | null>(null);
	const [width, setWidth] = useState(0);
	const [hover, setHover] = useState<Hover | null>(null);
	const grid = answer.grid!;
	const times = useMemo(() => {
		const count = Math.floor((grid.end - grid.start) / grid.step + 1.5);
		return Array.from({ length: count }, (_, i) => grid.start + i * grid.step);
	}, [answer]);

	useEffect(() => {
		const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
		observer.observe(place.current!);
		return () => observer.disconnect();
	}, []);

	const only = alone.value;
	const look = `${isDark.value} ${view.value.utc} ${only}`;
	useEffect(() => {
		if (width === 0) {
			return;
		}
		const height = Math.round(Math.max(240, Math.min(420, width * 0.36, innerHeight * HEIGHT_PART)));
		const made = new uPlot(plotOptions(lines, width, height, setHover), [times, ...lines.map((line) => line.values)], place.current!);
		plot.current = made;
		return () => {
			made.destroy();
			plot.current = null;
			setHover(null);
		};
	}, [answer, lines, width, look]);

	const over = plot.current?.over;
	return (
		<div class="plot" ref={place} role="img" aria-label={`Graph of ${lines.length} series`} data-series={lines.length}>
			{hover && over && (
				<div
					class="tooltip-place"
					style={{ left: `${over.offsetLeft}px`, top: `${over.offsetTop}px`, width: `${over.offsetWidth}px` }}
				>
					<Tooltip hover={hover} lines={lines} times={times} width={over.offsetWidth} />
				</div>
			)}
		</div>
	);
}

function Legend({ series, keys }: { series: Series[]; keys: string[] }) {
	const [all, setAll] = useState(false);
	const common = commonLabels(series);
	const rows = all ? series : series.slice(0, ROWS_FIRST);
	return (
		<div class="legend">
			{Object.keys(common).length > 0 && (
				<p class="common">
					all: <LabelList labels={common} />
				</p>
			)}
			<div class="scroll">
				<table>
					<thead>
						<tr>
							<th scope="col">Series</th>
							<th scope="col" class="num">Last</th>
							<th scope="col" class="num">Min</th>
							<th scope="col" class="num">Mean</th>
							<th scope="col" class="num">Max</th>
						</tr>
					</thead>
					<tbody>
						{rows.map((one, i) => {
							const figures = summary(one);
							const isAlone = alone.value === keys[i];
							return (
								<tr class={alone.value !== null && !isAlone ? 'is-off' : ''}>
									<td>
										<button
											type="button"
											class="series"
											aria-pressed={isAlone}
											title={isAlone ? 'Show all series' : 'Show only this series'}
											onClick={() => (alone.value = isAlone ? null : keys[i])}
										>
											<i style={{ background: i < DRAWN_MAX ? colour(i) : 'none' }} />
											<LabelList labels={one.labels} without={common} />
										</button>
									</td>
									{[figures.last, figures.min, figures.mean, figures.max].map((value) => (
										<td class="num" title={value === null ? '' : String(value)}>
											{short(value)}
										</td>
									))}
								</tr>
							);
						})}
					</tbody>
				</table>
			</div>
			{rows.length < series.length && (
				<button type="button" class="more" onClick={() => setAll(true)}>
					Show all {series.length} series
				</button>
			)}
		</div>
	);
}

export function Graph({ answer }: { answer: Answer }) {
	const keys = useMemo(() => answer.series.map((one) => labelText(one.labels)), [answer]);
	const lines = useMemo(() => {
		const common = commonLabels(answer.series);
		return answer.series.slice(0, DRAWN_MAX).map((one, index): Line => {
			const own = Object.fromEntries(Object.entries(one.labels).filter(([name]) => !(name in common)));
			const isBare = Object.keys(own).length === 0;
			return {
				key: keys[index],
				name: isBare ? labelText(one.labels) : shortName(own),
				values: onGrid(one, answer.grid!),
				index,
			};
		});
	}, [answer]);
	if (alone.value !== null && !keys.includes(alone.value)) {
		alone.value = null;
	}
	return (
		<>
			{answer.series.length > DRAWN_MAX && (
				<p class="note">
					Drawing the first {DRAWN_MAX} of {answer.series.length} series. topk() or sum by () make
					a graph that says more.
				</p>
			)}
			<Plot answer={answer} lines={lines} />
			<Legend series={answer.series} keys={keys} />
		</>
	);
}
