import { defineConfig } from 'vite';

// Relative addresses: the page also works behind a path prefix. Nothing is inlined, so that the
// Content-Security-Policy needs no exception; every file but index.html has its hash in its name.
export default defineConfig({
	base: './',
	esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
	build: {
		target: 'es2020',
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		reportCompressedSize: true,
	},
	server: {
		proxy: { '/api': process.env.ATOLL_URL ?? 'http://127.0.0.1:9490' },
	},
});
