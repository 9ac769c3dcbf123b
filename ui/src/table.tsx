// The answer at one instant: a row per series, a column per label that differs.
import { useState } from 'preact/hooks';
import type { Answer, Series } from './api';
import { LabelList } from './labels';
import { commonLabels, differingNames, number } from './series';
import { view } from './state';
import { formatTime } from './time';

const ROWS_FIRST = 100;
const COLUMNS_MAX = 8; // More labels than this go into one column.

interface Order {
	column: string | null; // null: the value.
	down: boolean;
}

function compare(order: Order): (a: Series, b: Series) => number {
	const sign = order.down ? -1 : 1;
	return (a, b) => {
		if (order.column === null) {
			const [x, y] = [number(a.points[0]?.[1] ?? 'NaN'), number(b.points[0]?.[1] ?? 'NaN')];
			return Number.isNaN(x) || Number.isNaN(y) ? Number(Number.isNaN(x)) - Number(Number.isNaN(y)) : sign * (x - y);
		}
		return sign * (a.labels[order.column] ?? '').localeCompare(b.labels[order.column] ?? '', undefined, { numeric: true });
	};
}

function Head(props: { name: string; column: string | null; order: Order | null; onOrder: (order: Order | null) => void }) {
	const isOn = props.order !== null && props.order.column === props.column;
	const isDown = isOn && props.order!.down;
	function turn() {
		const startsDown = props.column === null;
		if (!isOn) {
			props.onOrder({ column: props.column, down: startsDown });
		} else {
			props.onOrder(isDown === startsDown ? { column: props.column, down: !startsDown } : null);
		}
	}
	return (
		<th
			scope="col"
			class={props.column === null ? 'num' : ''}
			aria-sort={isOn ? (isDown ? 'descending' : 'ascending') : 'none'}
		>
			<button type="button" onClick={turn}>
				{props.name}
				<span class="arrow">{isOn ? (isDown ? '↓' : '↑') : ''}</span>
			</button>
		</th>
	);
}

export function Table({ answer }: { answer: Answer }) {
	const [order, setOrder] = useState<Order | null>(null);
	const [all, setAll] = useState(false);
	const common = commonLabels(answer.series);
	const names = differingNames(answer.series, common);
	const isWide = names.length > COLUMNS_MAX;
	const sorted = order ? [...answer.series].sort(compare(order)) : answer.series;
	const rows = all ? sorted : sorted.slice(0, ROWS_FIRST);
	return (
		<div class="result-table">
			<p class="common">
				at {formatTime(answer.time * 1000, view.value.utc)}
				{Object.keys(common).length > 0 && (
					<>
						, all: <LabelList labels={common} />
					</>
				)}
			</p>
			<div class="scroll">
				<table>
					<thead>
						<tr>
							{isWide || !names.length ? (
								<th scope="col">series</th>
							) : (
								names.map((name) => (
									<Head name={name === '__name__' ? 'metric' : name} column={name} order={order} onOrder={setOrder} />
								))
							)}
							<Head name="value" column={null} order={order} onOrder={setOrder} />
						</tr>
					</thead>
					<tbody>
						{rows.map((one) => (
							<tr>
								{isWide || !names.length ? (
									<td>
										<LabelList labels={one.labels} without={isWide ? common : {}} />
									</td>
								) : (
									names.map((name) => <td>{one.labels[name] ?? ''}</td>)
								)}
								<td class="num value">{one.points[0]?.[1] ?? ''}</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
			{rows.length < sorted.length && (
				<button type="button" class="more" onClick={() => setAll(true)}>
					Show all {sorted.length} rows
				</button>
			)}
		</div>
	);
}
