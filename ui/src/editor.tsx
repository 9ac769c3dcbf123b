// The PromQL input: a textarea over its own coloured text, with choices below.
import { useEffect, useRef, useState } from 'preact/hooks';
import { offerAt, suffixOf, type Offer } from './complete';
import type { Choice } from './promql';
import { tokens } from './promql';
import { ask, draft, loading, problem } from './state';
import { Icon } from './icons';

function Coloured({ text }: { text: string }) {
	return (
		<pre class="editor-text" aria-hidden="true">
			{tokens(text).map((token) => (
				<span class={`t-${token.kind}`}>{token.text}</span>
			))}
			{'\n'}
		</pre>
	);
}

function Choices(props: { offer: Offer; chosen: number; onTake: (choice: Choice) => void }) {
	const list = useRef<HTMLUListElement>(null);
	const isTabbed = draft.value.trim() !== '';
	useEffect(() => {
		list.current?.children[props.chosen]?.scrollIntoView({ block: 'nearest' });
	}, [props.chosen]);
	return (
		<ul class="choices" id="choices" role="listbox" aria-label="Completions" ref={list}>
			{props.offer.choices.map((choice, i) => (
				<li
					id={`choice-${i}`}
					role="option"
					aria-selected={i === props.chosen}
					onMouseDown={(event) => {
						event.preventDefault();
						props.onTake(choice);
					}}
				>
					<span class="choice-text">{choice.text}</span>
					<span class="choice-kind">
						{choice.note ?? choice.kind}
						{isTabbed && i === Math.max(0, props.chosen) && <kbd>Tab</kbd>}
					</span>
				</li>
			))}
		</ul>
	);
}

// "1:8: parse error: ..." as the place and the rest.
function placeOf(message: string): { line: number; column: number; text: string } | null {
	const m = /(?:^|\s)(\d+):(\d+): (.*)$/s.exec(message);
	return m ? { line: Number(m[1]), column: Number(m[2]), text: m[3] } : null;
}

export function Problem() {
	const error = problem.value;
	if (!error) {
		return null;
	}
	const place = error.type === 'bad_data' ? placeOf(error.message) : null;
	const line = place ? draft.value.split('\n')[place.line - 1] : undefined;
	return (
		<div class="problem" role="alert">
			<Icon name="alert" />
			<div>
				<strong>{error.type === 'bad_data' ? 'This query cannot be read' : 'No answer'}</strong>
				<p>{place ? place.text : error.message}</p>
				{place && line !== undefined && (
					<pre>
						{line}
						{'\n' + ' '.repeat(Math.max(0, place.column - 1)) + '^'}
					</pre>
				)}
			</div>
			{error.type === 'network' && (
				<button type="button" onClick={() => ask()}>
					Try again
				</button>
			)}
		</div>
	);
}

export function Editor() {
	const area = useRef<HTMLTextAreaElement>(null);
	const [offer, setOffer] = useState<Offer | null>(null);
	const [chosen, setChosen] = useState(0);
	const asked = useRef(0);

	async function look() {
		const mine = ++asked.current;
		const box = area.current!;
		const found = await offerAt(box.value, box.selectionStart);
		if (mine === asked.current && document.activeElement === box) {
			setOffer(found);
			setChosen(-1); // Enter runs the query until a choice is picked with the arrows.
		}
	}

	function close() {
		asked.current++;
		setOffer(null);
	}

	function take(choice: Choice) {
		const box = area.current!;
		if (!offer) {
			return;
		}
		const text = choice.text + suffixOf(choice);
		const rest = box.value.slice(offer.to);
		draft.value = box.value.slice(0, offer.from) + text + rest;
		const caret = offer.from + text.length;
		close();
		requestAnimationFrame(() => box.setSelectionRange(caret, caret));
		if (choice.kind === 'recent' || choice.kind === 'example') {
			ask();
		}
	}

	function onKeyDown(event: KeyboardEvent) {
		const count = offer?.choices.length ?? 0;
		const box = area.current!;
		if (offer && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
			event.preventDefault();
			setChosen((chosen + (event.key === 'ArrowDown' ? 1 : count - 1 + (chosen < 0 ? 1 : 0))) % count);
		} else if (offer && event.key === 'Escape') {
			event.preventDefault();
			close();
		} else if (offer && event.key === 'Tab' && !event.shiftKey && box.value.trim()) {
			event.preventDefault();
			take(offer.choices[Math.max(0, chosen)]);
		} else if (event.key === 'Enter' && !event.shiftKey) {
			event.preventDefault();
			const isTyped = event.ctrlKey || event.metaKey || !offer || chosen < 0;
			if (isTyped) {
				close();
				ask();
			} else {
				take(offer.choices[chosen]);
			}
		}
	}

	useEffect(() => {
		function onKey(event: KeyboardEvent) {
			const target = event.target as HTMLElement;
			const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
			if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey) {
				event.preventDefault();
				area.current?.focus();
			}
		}
		addEventListener('keydown', onKey);
		return () => removeEventListener('keydown', onKey);
	}, []);

	const rows = Math.min(12, draft.value.split('\n').length);
	return (
		<form
			class="editor"
			onSubmit={(event) => {
				event.preventDefault();
				close();
				ask();
			}}
		>
			<div class="editor-box" data-rows={rows}>
				<Coloured text={draft.value} />
				<textarea
					ref={area}
					id="query"
					rows={rows}
					value={draft.value}
					placeholder="Ask in PromQL, e.g. count by (cluster) (up == 1)"
					aria-label="PromQL query"
					aria-autocomplete="list"
					aria-controls="choices"
					aria-expanded={offer !== null}
					aria-activedescendant={offer && chosen >= 0 ? `choice-${chosen}` : undefined}
					role="combobox"
					spellcheck={false}
					autocomplete="off"
					autocapitalize="off"
					onInput={(event) => {
						draft.value = event.currentTarget.value;
						void look();
					}}
					onFocus={(event) => {
						if (!event.currentTarget.value.trim()) {
							void look();
						}
					}}
					onBlur={close}
					onKeyDown={onKeyDown}
				/>
				{offer && <Choices offer={offer} chosen={chosen} onTake={take} />}
			</div>
			<button type="submit" class="primary" aria-busy={loading.value}>
				{loading.value ? <span class="spinner" /> : <Icon name="play" />}
				Run
			</button>
		</form>
	);
}
