// Range, step, refresh, view: everything about a query that is not the query.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from './icons';
import { ask, change, loading, shift, view, zoomOut } from './state';
import { autoStep, formatDuration, formatTime, parseDuration, parseTime, rangeEnds, rangeSeconds } from './time';

const QUICK: [number, string][] = [
	[300, '5 minutes'],
	[900, '15 minutes'],
	[1800, '30 minutes'],
	[3600, '1 hour'],
	[10800, '3 hours'],
	[21600, '6 hours'],
	[43200, '12 hours'],
	[86400, '24 hours'],
	[172800, '2 days'],
	[604800, '7 days'],
];

const REFRESH: [number, string][] = [
	[0, 'off'],
	[5, '5 s'],
	[10, '10 s'],
	[30, '30 s'],
	[60, '1 min'],
	[300, '5 min'],
];

function rangeText(): string {
	const { range, utc } = view.value;
	if ('last' in range) {
		return 'Last ' + (QUICK.find(([s]) => s === range.last)?.[1] ?? formatDuration(range.last));
	}
	const [from, to] = [formatTime(range.from, utc), formatTime(range.to, utc)];
	const sameDay = from.slice(0, 10) === to.slice(0, 10);
	return `${from.slice(0, 16)} – ${sameDay ? to.slice(11, 16) : to.slice(0, 16)}`;
}

function Absolute({ onDone }: { onDone: () => void }) {
	const { range, utc } = view.value;
	const ends = rangeEnds(range, Date.now());
	const [from, setFrom] = useState(formatTime(ends.from, utc));
	const [to, setTo] = useState(formatTime(ends.to, utc));
	const [wrong, setWrong] = useState('');
	function apply(event: Event) {
		event.preventDefault();
		const [a, b] = [parseTime(from, utc), parseTime(to, utc)];
		if (a === null || b === null) {
			setWrong('Write times as 2026-11-22 10:00:00.');
		} else if (a >= b) {
			setWrong('The range must end after it begins.');
		} else {
			onDone();
			change({ range: { from: a, to: b }, refresh: 0 });
		}
	}
	return (
		<form class="absolute" onSubmit={apply}>
			<label>
				From
				<input value={from} onInput={(e) => setFrom(e.currentTarget.value)} />
			</label>
			<label>
				To
				<input value={to} onInput={(e) => setTo(e.currentTarget.value)} />
			</label>
			{wrong && <p class="wrong">{wrong}</p>}
			<button type="submit">Apply</button>
			<label class="zone">
				<input type="checkbox" checked={utc} onChange={(e) => (onDone(), change({ utc: e.currentTarget.checked }))} />
				Times in UTC
			</label>
		</form>
	);
}

function RangePicker() {
	const [isOpen, setOpen] = useState(false);
	const place = useRef<HTMLDivElement>(null);
	const button = useRef<HTMLButtonElement>(null);
	useEffect(() => {
		if (!isOpen) {
			return;
		}
		function onPointer(event: Event) {
			if (!place.current?.contains(event.target as Node)) {
				setOpen(false);
			}
		}
		function onKey(event: KeyboardEvent) {
			if (event.key === 'Escape') {
				setOpen(false);
				button.current?.focus();
			}
		}
		addEventListener('pointerdown', onPointer);
		addEventListener('keydown', onKey);
		return () => {
			removeEventListener('pointerdown', onPointer);
			removeEventListener('keydown', onKey);
		};
	}, [isOpen]);
	const range = view.value.range;
	return (
		<div class="group range" ref={place}>
			<button type="button" class="square" title="Earlier" aria-label="Earlier" onClick={() => shift(-1)}>
				<Icon name="left" />
			</button>
			<button
				type="button"
				ref={button}
				class="range-button"
				aria-haspopup="dialog"
				aria-expanded={isOpen}
				onClick={() => setOpen(!isOpen)}
			>
				{rangeText()}
				{view.value.utc && <small>UTC</small>}
				<Icon name="down" />
			</button>
			<button type="button" class="square" title="Later" aria-label="Later" onClick={() => shift(1)}>
				<Icon name="right" />
			</button>
			<button type="button" class="square" title="Longer range" aria-label="Longer range" onClick={zoomOut}>
				<Icon name="zoomOut" />
			</button>
			{isOpen && (
				<div class="popover" role="dialog" aria-label="Time range">
					<ul>
						{QUICK.map(([seconds, text]) => (
							<li>
								<button
									type="button"
									aria-pressed={'last' in range && range.last === seconds}
									onClick={() => {
										setOpen(false);
										change({ range: { last: seconds } });
									}}
								>
									{text}
								</button>
							</li>
						))}
					</ul>
					<Absolute onDone={() => setOpen(false)} />
				</div>
			)}
		</div>
	);
}

function Step() {
	const { step, range } = view.value;
	const shown = step ? formatDuration(step) : '';
	const auto = formatDuration(autoStep(rangeSeconds(range)));
	return (
		<label class="field" title="Time between two values, such as 15s or 5m. Empty: from the range.">
			Step
			<input
				class="step"
				value={shown}
				placeholder={auto}
				onChange={(event) => {
					const text = event.currentTarget.value.trim();
					const seconds = text ? parseDuration(text) : null;
					event.currentTarget.value = seconds ? formatDuration(seconds) : '';
					if (seconds !== step) {
						change({ step: seconds });
					}
				}}
			/>
		</label>
	);
}

function Refresh() {
	return (
		<div class="group">
			<button
				type="button"
				class="square"
				title="Ask again"
				aria-label="Ask again"
				aria-busy={loading.value}
				onClick={() => ask(view.value.query)}
			>
				<Icon name="refresh" />
			</button>
			<label class="field">
				<span class="hidden">Refresh every</span>
				<select
					value={String(view.value.refresh)}
					title="Refresh by itself; pauses while this tab is hidden"
					onChange={(event) => change({ refresh: Number(event.currentTarget.value) })}
				>
					{REFRESH.map(([seconds, text]) => (
						<option value={String(seconds)}>{text}</option>
					))}
					{!REFRESH.some(([seconds]) => seconds === view.value.refresh) && (
						<option value={String(view.value.refresh)}>{formatDuration(view.value.refresh)}</option>
					)}
				</select>
			</label>
		</div>
	);
}

function Share() {
	const [done, setDone] = useState(false);
	async function copy() {
		try {
			await navigator.clipboard.writeText(location.href);
			setDone(true);
			setTimeout(() => setDone(false), 1500);
		} catch {
			// Without the permission the address bar has the same.
		}
	}
	return (
		<button type="button" class="square" title="Copy the link to this view" aria-label="Copy the link to this view" onClick={copy}>
			<Icon name={done ? 'check' : 'link'} />
		</button>
	);
}

function Tabs() {
	const tabs = ['graph', 'table'] as const;
	function onKey(event: KeyboardEvent) {
		if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
			const other = view.value.tab === 'graph' ? 'table' : 'graph';
			change({ tab: other });
			document.getElementById('tab-' + other)?.focus();
		}
	}
	return (
		<div class="tabs" role="tablist" aria-label="Show as" onKeyDown={onKey}>
			{tabs.map((tab) => (
				<button
					type="button"
					role="tab"
					id={'tab-' + tab}
					aria-selected={view.value.tab === tab}
					aria-controls="answer"
					tabIndex={view.value.tab === tab ? 0 : -1}
					onClick={() => view.value.tab !== tab && change({ tab })}
				>
					{tab === 'graph' ? 'Graph' : 'Table'}
				</button>
			))}
		</div>
	);
}

export function Controls() {
	return (
		<div class="controls">
			<Tabs />
			<div class="controls-right">
				{view.value.tab === 'graph' && <Step />}
				<RangePicker />
				<Refresh />
				<Share />
			</div>
		</div>
	);
}
