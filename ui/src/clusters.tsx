// The clusters: state, cost and trust at a glance. What is wrong comes first.
import { useState } from 'preact/hooks';
import type { Cluster } from './api';
import { age, bytes, count, milliseconds } from './format';
import { answer, clusters, clustersStale, flows, view } from './state';
import { formatTime } from './time';
import { missingClusters } from './notes';

// With more clusters than this each gets a line instead of a card.
const CARDS_MAX = 12;
const LINES_FIRST = 30;
const SPARK_MIN = 4;
const EXPORTS_SHOWN = 3;
const CERT_SOON_MS = 2 * 3600_000;
const ORDER = { down: 0, connecting: 1, up: 2 };

function Sparkline({ values }: { values: number[] }) {
	if (values.length < SPARK_MIN) {
		return <span />;
	}
	const high = Math.max(...values, 1);
	const x = (i: number) => i * (100 / (values.length - 1));
	const y = (value: number) => 22 - (value / high) * 20;
	const line = values.map((value, i) => `${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join('L');
	return (
		<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
			<path class="spark-area" d={`M${x(0).toFixed(1)} 24L${line}L100 24Z`} />
			<path class="spark-line" d={`M${line}`} />
		</svg>
	);
}

// The link needs both ends' certificates: the one that ends first is shown.
function Certificate({ one }: { one: Cluster }) {
	const ends = [
		{ at: one.certNotAfterMs, whose: "The cluster's" },
		{ at: one.ownCertNotAfterMs, whose: "This hub's" },
	].filter(({ at }) => at > 0);
	if (!ends.length) {
		return <span>–</span>;
	}
	const first = ends.reduce((a, b) => (b.at < a.at ? b : a));
	const left = first.at - Date.now();
	const kind = left < 0 ? 'bad' : left < CERT_SOON_MS ? 'soon' : '';
	const title = ends.map(({ at, whose }) => `${whose} certificate: until ${formatTime(at, view.value.utc)}`).join('\n');
	return (
		<span class={`cert ${kind}`} title={title}>
			{left < 0 ? `expired ${age(-left)} ago` : `${age(left)} left`}
		</span>
	);
}

function stateText(one: Cluster): string {
	const since = one.sinceMs > 0 ? ` ${age(Date.now() - one.sinceMs)}` : '';
	return one.state === 'connecting' ? 'connecting' + since : one.state + since;
}

function Facts({ one }: { one: Cluster }) {
	const flow = flows.value[one.cluster];
	const rate = flow?.perSecond[flow.perSecond.length - 1];
	return (
		<dl>
			<div>
				<dt>Received</dt>
				<dd>
					{bytes(one.receivedBytes)}
					{rate !== undefined && <small> {bytes(rate)}/s</small>}
				</dd>
			</div>
			<div>
				<dt>Round trip</dt>
				<dd>{one.state === 'up' && one.rttMs !== null ? milliseconds(one.rttMs) : '–'}</dd>
			</div>
			<div>
				<dt>Last answer</dt>
				<dd>
					{one.lastAnswer ? (
						<>
							{bytes(one.lastAnswer.bytes)} <small>in {milliseconds(one.lastAnswer.durationMs)}</small>
						</>
					) : (
						'none yet'
					)}
				</dd>
			</div>
			<div>
				<dt>Certificate</dt>
				<dd><Certificate one={one} /></dd>
			</div>
		</dl>
	);
}

// What it offers, and what failed of late.
function Badges({ one }: { one: Cluster }) {
	const failed = one.errors - (flows.value[one.cluster]?.errorsAtFirst ?? one.errors);
	const names = one.exports.map((e) => e.name);
	const more = names.length - EXPORTS_SHOWN;
	return (
		<span class="badges">
			{names.slice(0, EXPORTS_SHOWN).map((name) => <span class="export">{name}</span>)}
			{more > 0 && <span class="export" title={names.join('\n')}>{more} more</span>}
			{names.length === 0 && one.state === 'up' && <span>nothing exported</span>}
			{failed > 0 && (
				<span class="errors" title={`Requests that failed since this page was opened; ${count(one.errors)} of ${count(one.queries)} since the hub started`}>
					{count(failed)} failed
				</span>
			)}
		</span>
	);
}

function Card({ one, isMissing }: { one: Cluster; isMissing: boolean }) {
	return (
		<li class={`card is-${one.state} ${isMissing ? 'is-missing' : ''}`} data-cluster={one.cluster}>
			<header>
				<h3 title={`${one.identity}\n${one.address}`}>{one.cluster}</h3>
				<Badges one={one} />
				<span class="state">{stateText(one)}</span>
			</header>
			{one.state !== 'up' && one.lastError && <p class="card-error">{one.lastError}</p>}
			<div class="card-body">
				{(one.state === 'up' || one.series !== null) && (
					<div class="size">
						<p class="big">
							{one.series === null ? '–' : count(one.series)}
							<small>series</small>
						</p>
						<Sparkline values={flows.value[one.cluster]?.perSecond ?? []} />
					</div>
				)}
				<Facts one={one} />
			</div>
		</li>
	);
}

function Lines({ list, missing }: { list: Cluster[]; missing: Set<string> }) {
	const [all, setAll] = useState(false);
	const rows = all ? list : list.slice(0, LINES_FIRST);
	return (
		<>
			<div class="scroll">
				<table class="cluster-lines">
					<thead>
						<tr>
							<th scope="col">Cluster</th>
							<th scope="col">State</th>
							<th scope="col" class="num">Series</th>
							<th scope="col" class="num">Received</th>
							<th scope="col" class="num">Round trip</th>
							<th scope="col">Certificate</th>
							<th scope="col">Exports</th>
						</tr>
					</thead>
					<tbody>
						{rows.map((one) => (
							<tr class={`is-${one.state} ${missing.has(one.cluster) ? 'is-missing' : ''}`} data-cluster={one.cluster}>
								<td>{one.cluster}</td>
								<td title={one.lastError}>
									<span class="state">{stateText(one)}</span>
								</td>
								<td class="num">{one.series === null ? '–' : count(one.series)}</td>
								<td class="num">{bytes(one.receivedBytes)}</td>
								<td class="num">{one.rttMs === null ? '–' : milliseconds(one.rttMs)}</td>
								<td><Certificate one={one} /></td>
								<td>{one.exports.map((e) => e.name).join(', ')}</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
			{rows.length < list.length && (
				<button type="button" class="more" onClick={() => setAll(true)}>
					Show all {list.length} clusters
				</button>
			)}
		</>
	);
}

export function Clusters() {
	const list = clusters.value;
	if (list === null || list === undefined) {
		return clustersStale.value && list === undefined ? (
			<p class="note">The list of clusters cannot be read just now.</p>
		) : null;
	}
	const sorted = [...list].sort((a, b) => ORDER[a.state] - ORDER[b.state] || (a.cluster < b.cluster ? -1 : 1));
	const missing = new Set(missingClusters(answer.value));
	const up = list.filter((one) => one.state === 'up').length;
	return (
		<section class={clustersStale.value ? 'clusters is-stale' : 'clusters'} aria-label="Clusters">
			<h2>
				Clusters
				<small>
					{list.length === 0 ? 'none linked yet' : up === list.length ? `all ${up} up` : `${up} of ${list.length} up`}
					{clustersStale.value && ', figures are old'}
				</small>
			</h2>
			{list.length === 0 && (
				<p class="empty-line">This hub follows no cluster yet. Put a link file into its links directory and it appears here.</p>
			)}
			{list.length > CARDS_MAX ? (
				<Lines list={sorted} missing={missing} />
			) : (
				<ul class="cards">
					{sorted.map((one) => (
						<Card key={one.cluster} one={one} isMissing={missing.has(one.cluster)} />
					))}
				</ul>
			)}
		</section>
	);
}
