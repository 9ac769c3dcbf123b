// Just enough of PromQL to colour it and to know what may stand at the caret.

const FUNCTIONS = `abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil
changes clamp clamp_max clamp_min cos cosh count_over_time day_of_month day_of_week day_of_year
days_in_month deg delta deriv double_exponential_smoothing exp floor histogram_avg histogram_count
histogram_fraction histogram_quantile histogram_stddev histogram_stdvar histogram_sum hour idelta
increase info irate label_join label_replace last_over_time ln log10 log2 max_over_time
min_over_time minute month pi predict_linear present_over_time quantile_over_time rad rate resets
round scalar sgn sin sinh sort sort_by_label sort_by_label_desc sort_desc sqrt stddev_over_time
stdvar_over_time sum_over_time tan tanh time timestamp vector year`.split(/\s+/);

const AGGREGATIONS =
	'avg bottomk count count_values group limit_ratio limitk max min quantile stddev stdvar sum topk'.split(' ');

const KEYWORDS = 'and atan2 bool by group_left group_right ignoring offset on or unless without'.split(' ');

const DURATIONS = ['1m', '5m', '15m', '30m', '1h', '6h', '1d'];

const functions = new Set([...FUNCTIONS, ...AGGREGATIONS]);
const keywords = new Set(KEYWORDS);
const LABEL_LISTS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);

export type TokenKind = 'function' | 'keyword' | 'name' | 'string' | 'number' | 'comment' | 'operator' | 'space';

export interface Token {
	kind: TokenKind;
	text: string;
	at: number;
}

const TOKEN =
	/(#[^\n]*)|("(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`[^`]*`?)|((?:0x[\da-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:ms|[smhdwy])?(?:\d+(?:ms|[smhdwy]))*|\binf\b|\bnan\b)|([a-z_:][\w:]*)|(\s+)|([^])/giy;

export function tokens(text: string): Token[] {
	const out: Token[] = [];
	TOKEN.lastIndex = 0;
	for (let m = TOKEN.exec(text); m && m[0]; m = TOKEN.exec(text)) {
		const kind: TokenKind = m[1]
			? 'comment'
			: m[2]
				? 'string'
				: m[3]
					? 'number'
					: m[4]
						? functions.has(m[4])
							? 'function'
							: keywords.has(m[4].toLowerCase())
								? 'keyword'
								: 'name'
						: m[5]
							? 'space'
							: 'operator';
		out.push({ kind, text: m[0], at: m.index });
	}
	return out;
}

// What may be completed at the caret: 'typed' stands from 'from' to the caret.
export interface Place {
	kind: 'expression' | 'label' | 'value' | 'duration';
	from: number;
	typed: string;
	metric: string; // The selector's, where known.
	label: string; // Of a value.
}

interface Walk {
	open: string[]; // "(", "{", "[" and "l" for a list of labels.
	metric: string;
	label: string;
	name: string; // The last name or keyword before a bracket.
}

function step(walk: Walk, token: Token): void {
	const inside = walk.open[walk.open.length - 1];
	if (token.kind === 'space' || token.kind === 'comment') {
		return;
	}
	if (token.text === '(' || token.text === '{' || token.text === '[') {
		const isList = token.text === '(' && LABEL_LISTS.has(walk.name.toLowerCase());
		walk.open.push(isList ? 'l' : token.text);
		if (token.text === '{') {
			walk.metric = walk.name;
		}
	} else if (token.text === ')' || token.text === '}' || token.text === ']') {
		walk.open.pop();
	} else if (inside === '{' && token.kind !== 'operator' && token.kind !== 'string') {
		walk.label = token.text;
	}
	walk.name = token.kind === 'operator' ? '' : token.text;
}

export function placeAt(text: string, caret: number): Place | null {
	const walk: Walk = { open: [], metric: '', label: '', name: '' };
	let last: Token | null = null;
	for (const token of tokens(text.slice(0, caret))) {
		if (last) {
			step(walk, last);
		}
		last = token;
	}
	if (!last) {
		return { kind: 'expression', from: caret, typed: '', metric: '', label: '' };
	}
	const isWord = last.kind === 'name' || last.kind === 'function' || last.kind === 'keyword';
	const isOpenString = last.kind === 'string' && !(last.text.length > 1 && last.text.endsWith(last.text[0]));
	if (!isWord && !isOpenString && last.kind !== 'number') {
		step(walk, last);
	}
	const inside = walk.open[walk.open.length - 1];
	const from = isOpenString ? last.at + 1 : isWord || last.kind === 'number' ? last.at : caret;
	const typed = text.slice(from, caret);
	const place = { from, typed, metric: walk.metric, label: walk.label };
	if (isOpenString) {
		return inside === '{' ? { ...place, kind: 'value' } : null;
	}
	if (last.kind === 'comment' || last.kind === 'string') {
		return null;
	}
	if (inside === '[') {
		return { ...place, kind: 'duration' };
	}
	if (last.kind === 'number') {
		return null;
	}
	if (inside === '{' || inside === 'l') {
		const afterOperator = last.kind === 'operator' && !'{(,'.includes(last.text);
		return afterOperator ? null : { ...place, kind: 'label' };
	}
	return { ...place, kind: 'expression' };
}

export interface Choice {
	text: string;
	kind: 'metric' | 'function' | 'aggregation' | 'keyword' | 'label' | 'value' | 'duration' | 'recent' | 'example';
	note?: string;
}

// Those that begin with what was typed before those that hold it; each group as it was.
export function rank(choices: Choice[], typed: string, max: number): Choice[] {
	const wanted = typed.toLowerCase();
	const first: Choice[] = [];
	const rest: Choice[] = [];
	for (const choice of choices) {
		const at = choice.text.toLowerCase().indexOf(wanted);
		if (at === 0 && choice.text !== typed) {
			first.push(choice);
		} else if (at > 0) {
			rest.push(choice);
		}
		if (first.length >= max) {
			break;
		}
	}
	return [...first, ...rest].slice(0, max);
}

export const LANGUAGE: Choice[] = [
	...AGGREGATIONS.map((text): Choice => ({ text, kind: 'aggregation' })),
	...FUNCTIONS.map((text): Choice => ({ text, kind: 'function' })),
	...KEYWORDS.map((text): Choice => ({ text, kind: 'keyword' })),
];

export const RANGES: Choice[] = DURATIONS.map((text) => ({ text, kind: 'duration' }));
