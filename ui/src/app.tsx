import { Clusters } from './clusters';
import { Controls } from './controls';
import { Editor, Problem } from './editor';
import { Graph } from './graph';
import { Icon, Logo } from './icons';
import { Cost, Infos, Warnings, missingClusters } from './notes';
import { EXAMPLES_HUB, EXAMPLES_MONITOR, answer, ask, clusters, isHub, loading, problem, version, view } from './state';
import { Table } from './table';
import { nextTheme, theme } from './theme';

const THEME_TEXT = { auto: 'as the system', light: 'light', dark: 'dark' };

function Header() {
	return (
		<header class="top">
			<a class="brand" href="./">
				<Logo />
				atoll
			</a>
			<span class="role">{isHub.value ? 'hub' : clusters.value === null ? 'monitor' : ''}</span>
			<button
				type="button"
				class="square theme"
				title={`Colours: ${THEME_TEXT[theme.value]}`}
				aria-label={`Colours: ${THEME_TEXT[theme.value]}. Change.`}
				onClick={nextTheme}
			>
				<Icon name={theme.value} />
			</button>
		</header>
	);
}

function Examples() {
	return (
		<ul class="examples">
			{(isHub.value ? EXAMPLES_HUB : EXAMPLES_MONITOR)
				.filter(([, query]) => query !== view.value.query)
				.map(([name, query]) => (
					<li>
						<button type="button" onClick={() => ask(query)}>
							<b>{name}</b>
							<code>{query}</code>
						</button>
					</li>
				))}
		</ul>
	);
}

function Nothing() {
	if (loading.value || problem.value) {
		return null;
	}
	const missing = missingClusters(answer.value);
	return (
		<div class="nothing">
			{view.value.query ? (
				<>
					<h2>No series match</h2>
					<p>
						The query is fine, but nothing {missing.length > 0 && 'in the clusters that answered '}fits it in
						this time range. Check names and label values, or try one of these:
					</p>
				</>
			) : (
				<>
					<h2>Ask something</h2>
					<p>Type PromQL above, or start with one of these:</p>
				</>
			)}
			<Examples />
		</div>
	);
}

function Body() {
	const found = answer.value;
	const isEmpty = !found || found.series.length === 0;
	return (
		<div
			id="answer"
			role="tabpanel"
			aria-labelledby={'tab-' + view.value.tab}
			class={loading.value || problem.value ? 'answer is-old' : 'answer'}
			aria-busy={loading.value}
		>
			{found && <Warnings answer={found} />}
			{!isEmpty && (found.grid ? <Graph answer={found} /> : <Table answer={found} />)}
			{isEmpty && (loading.value && !found ? <div class="waiting" /> : <Nothing />)}
			{found && <Infos answer={found} />}
			{found && <Cost answer={found} />}
		</div>
	);
}

export function App() {
	return (
		<>
			<Header />
			<main>
				<Clusters />
				<section class="query" aria-label="Query">
					<Editor />
					<Problem />
					<Controls />
					<Body />
				</section>
			</main>
			<footer class="bottom">
				<span>atoll {version.value}</span>
				<span>
					Prometheus API at <code>/api/v1</code>
				</span>
				<span class="keys">
					<kbd>/</kbd> query <kbd>Enter</kbd> run <kbd>Shift Enter</kbd> new line
				</span>
			</footer>
		</>
	);
}
