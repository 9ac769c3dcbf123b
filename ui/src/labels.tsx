// A label set as text that is easy to scan: the metric's name, then name="value" pairs.
import type { Labels } from './api';

export function LabelList({ labels, without = {} }: { labels: Labels; without?: Labels }) {
	const names = Object.keys(labels)
		.filter((name) => name !== '__name__' && !(name in without))
		.sort((a, b) => (a === 'cluster' ? -1 : b === 'cluster' ? 1 : a < b ? -1 : 1));
	const metric = '__name__' in without ? '' : (labels.__name__ ?? '');
	if (!metric && !names.length) {
		return <span class="labels">{'{}'}</span>;
	}
	return (
		<span class="labels">
			{metric && <span class="l-metric">{metric}</span>}
			{names.map((name) => (
				<span class="l-pair">
					<span class="l-name">{name}=</span>
					<span class="l-value">{labels[name] || '""'}</span>
				</span>
			))}
		</span>
	);
}
