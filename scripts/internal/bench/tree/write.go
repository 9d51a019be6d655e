package tree

import (
	"context"
	"fmt"
	"io"
	"path"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

// Sink takes the files of a tree, each once.
type Sink interface {
	// Put adds a file of a size in bytes, by its name below the registry's root
	// directory. It may be called from several goroutines.
	Put(name string, size int64, write func(io.Writer) error) error
}

// Write writes a tree: all blobs, then all links, as tar has them. With one job,
// the files come in the same order each time.
func Write(ctx context.Context, s Shape, seed uint64, jobs int, to Sink) error {
	w := &writer{
		shape: s, seed: seed, to: to,
		pool: make([]layer, s.Pool), pooled: make([]sync.Once, s.Pool), held: make([]holding, s.Repositories),
	}
	for _, write := range []func(int) error{w.writeBlobs, w.writeLinks} {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(jobs)
		for n := range s.Repositories {
			g.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return write(n)
			})
		}
		if err := g.Wait(); err != nil {
			return fmt.Errorf("writing tree %s: %w", s.Name, err)
		}
	}
	return nil
}

type writer struct {
	shape  Shape
	seed   uint64
	to     Sink
	pool   []layer // those that were drawn
	pooled []sync.Once
	held   []holding // by repository
}

// holding is what a repository has.
type holding struct {
	tags      []digest.Digest // by number
	revisions []digest.Digest
	blobs     []digest.Digest // layers and configs
}

// writeBlobs writes what is in a repository and nowhere else, and such layers of
// the pool as nobody wrote before.
func (w *writer) writeBlobs(n int) error {
	name, h := repository(n), &w.held[n]
	layers, err := w.layers(name, h)
	if err != nil {
		return err
	}
	for t := range w.shape.Tags {
		count := w.shape.Layers + (t+n)%2
		images := []blob{}
		for p := range platforms {
			if p > 0 && !w.multi(t) {
				break
			}
			image, err := w.writeImage(h, fmt.Sprintf("%s:%s", name, tag(t)), p, window(layers[p], count, t, w.shape.Tags))
			if err != nil {
				return err
			}
			images = append(images, image)
		}
		top := images[0]
		if w.multi(t) {
			if top, err = makeIndex(images); err != nil {
				return err
			}
			if err := w.putManifest(h, top); err != nil {
				return err
			}
		}
		h.tags = append(h.tags, top.Digest)
	}
	return nil
}

func (w *writer) multi(tag int) bool {
	return w.shape.MultiEvery > 0 && tag%w.shape.MultiEvery == w.shape.MultiEvery-1
}

// window is count of the layers, one after the other and round the end, from
// further on for each tag: all are taken, and neighbours share most.
func window(layers []layer, count, tag, tags int) []layer {
	from := tag * len(layers) / tags
	taken := make([]layer, count)
	for i := range taken {
		taken[i] = layers[(from+i)%len(layers)]
	}
	return taken
}

// layers are those of a repository, by platform: some of the pool's, then its own.
func (w *writer) layers(name string, h *holding) (layers [len(platforms)][]layer, err error) {
	r := random(w.seed, name)
	from := 0
	for p, draws := range w.shape.Draws {
		to := from + w.shape.Pool*draws/(w.shape.Draws[0]+w.shape.Draws[1])
		for _, i := range r.Perm(to - from)[:draws] {
			l, err := w.fromPool(from + i)
			if err != nil {
				return layers, err
			}
			layers[p] = append(layers[p], l)
			h.blobs = append(h.blobs, l.Digest)
		}
		from = to
	}
	for i := range w.shape.Own {
		l, err := makeLayer(w.seed, fmt.Sprintf("%s/%d", name, i), w.shape.sizes(r))
		if err != nil {
			return layers, err
		}
		if err := w.putBlob(h, l.blob); err != nil {
			return layers, err
		}
		layers[0] = append(layers[0], l)
	}
	return layers, nil
}

// fromPool is a layer of the pool, made and written by whoever takes it first.
func (w *writer) fromPool(n int) (l layer, err error) {
	w.pooled[n].Do(func() {
		name := fmt.Sprintf("pool/%d", n)
		if w.pool[n], err = makeLayer(w.seed, name, w.shape.sizes(random(w.seed, name+" size"))); err == nil {
			err = w.put(w.pool[n].blob)
		}
	})
	return w.pool[n], err
}

func (w *writer) writeImage(h *holding, name string, platform int, layers []layer) (blob, error) {
	config, err := makeConfig(name, platforms[platform], layers)
	if err != nil {
		return blob{}, err
	}
	manifest, err := makeManifest(config, layers)
	if err != nil {
		return blob{}, err
	}
	if err := w.putBlob(h, config); err != nil {
		return blob{}, err
	}
	return manifest, w.putManifest(h, manifest)
}

func (w *writer) putBlob(h *holding, b blob) error {
	h.blobs = append(h.blobs, b.Digest)
	return w.put(b)
}

func (w *writer) putManifest(h *holding, b blob) error {
	h.revisions = append(h.revisions, b.Digest)
	return w.put(b)
}

// root is where the format begins, below the registry's root directory. The
// paths are those of distribution, registry/storage/paths.go.
const root = "docker/registry/v2"

func (w *writer) put(b blob) error {
	hex := b.Digest.Encoded()
	return w.to.Put(path.Join(root, "blobs/sha256", hex[:2], hex, "data"), b.Size, b.write)
}

func (w *writer) writeLinks(n int) error {
	dir, h := path.Join(root, "repositories", repository(n)), &w.held[n]
	for _, d := range h.blobs {
		if err := w.link(path.Join(dir, "_layers/sha256", d.Encoded(), "link"), d); err != nil {
			return err
		}
	}
	for _, d := range h.revisions {
		if err := w.link(path.Join(dir, "_manifests/revisions/sha256", d.Encoded(), "link"), d); err != nil {
			return err
		}
	}
	for t, d := range h.tags {
		of := path.Join(dir, "_manifests/tags", tag(t))
		for _, name := range []string{"current/link", "index/sha256/" + d.Encoded() + "/link"} {
			if err := w.link(path.Join(of, name), d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) link(name string, d digest.Digest) error {
	return w.to.Put(name, int64(len(d)), func(to io.Writer) error {
		_, err := io.WriteString(to, string(d))
		return err
	})
}
