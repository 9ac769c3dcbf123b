// What an answer says about itself: what is missing, and what it cost.
import type { Answer } from './api';
import { bytes, count, milliseconds } from './format';
import { Icon } from './icons';
import { clusters } from './state';

function mentions(text: string, cluster: string): boolean {
	const at = text.indexOf(cluster);
	const isEdge = (c: string | undefined) => c === undefined || !/[\w-]/.test(c);
	return at >= 0 && isEdge(text[at - 1]) && isEdge(text[at + cluster.length]);
}

// The clusters that an answer lacks, by its statistics or else by the names in its warnings.
export function missingClusters(answer: Answer | null): string[] {
	if (!answer) {
		return [];
	}
	const failed = answer.clusters.filter((one) => one.error).map((one) => one.cluster);
	const known = (clusters.value ?? []).map((one) => one.cluster);
	const named = known.filter((cluster) => answer.warnings.some((text) => mentions(text, cluster)));
	return [...new Set([...failed, ...named])].sort();
}

function headline(missing: string[], hasWarnings: boolean): string {
	if (missing.length === 0) {
		return hasWarnings ? 'This answer comes with a warning' : '';
	}
	const names =
		missing.length > 3
			? `${missing.slice(0, 3).join(', ')} and ${missing.length - 3} more`
			: missing.join(', ').replace(/, ([^,]*)$/, ' and $1');
	return `Incomplete: without ${names}`;
}

export function Warnings({ answer }: { answer: Answer }) {
	const missing = missingClusters(answer);
	const errors = answer.clusters
		.filter((one) => one.error && !answer.warnings.some((text) => mentions(text, one.cluster)))
		.map((one) => `${one.cluster}: ${one.error}`);
	const texts = [...answer.warnings, ...errors];
	if (!texts.length) {
		return null;
	}
	return (
		<div class="warnings" role="alert">
			<Icon name="alert" />
			<div>
				<strong>{headline(missing, true)}</strong>
				<ul>
					{texts.map((text) => (
						<li>{text}</li>
					))}
				</ul>
			</div>
		</div>
	);
}

export function Infos({ answer }: { answer: Answer }) {
	return answer.infos.length ? (
		<details class="infos">
			<summary>{answer.infos.length === 1 ? 'A note on this answer' : `${answer.infos.length} notes on this answer`}</summary>
			<ul>
				{answer.infos.map((text) => (
					<li>{text}</li>
				))}
			</ul>
		</details>
	) : null;
}

// "412 series · 38 ms · 12.3 kB from 3 clusters", and each cluster's share.
export function Cost({ answer }: { answer: Answer }) {
	const total = answer.clusters.reduce((sum, one) => sum + one.receivedBytes, 0);
	const answered = answer.clusters.filter((one) => !one.error).length;
	const most = Math.max(1, ...answer.clusters.map((one) => one.receivedBytes));
	return (
		<div class="cost">
			<p role="status">
				{count(answer.series.length)} series in {milliseconds(answer.tookMs)}
				{answer.clusters.length > 0 && (
					<>
						, <b>{bytes(total)}</b> received from{' '}
						{answered < answer.clusters.length && `${count(answered)} of `}
						{count(answer.clusters.length)} {answer.clusters.length === 1 ? 'cluster' : 'clusters'}
					</>
				)}
			</p>
			{answer.clusters.length > 0 && (
				<ul>
					{answer.clusters.map((one) => (
						<li
							class={one.error ? 'is-bad' : ''}
							data-cluster={one.cluster}
							title={one.error ?? `${count(one.fragments)} requests, waited ${milliseconds(one.waitMs)}`}
						>
							<span>{one.cluster}</span>
							<meter min={0} max={most} value={one.receivedBytes} />
							<b>{one.error ? 'no answer' : bytes(one.receivedBytes)}</b>
						</li>
					))}
				</ul>
			)}
		</div>
	);
}
