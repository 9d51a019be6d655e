package push_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containers/image/v5/pkg/blobinfocache/none"
	"github.com/containers/image/v5/types"
	"github.com/sirupsen/logrus"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/push"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// A run that is longer than its tokens live.
func TestShortTokens(t *testing.T) {
	s := startHarbor(t, &harbortest.Options{TokenLifetime: 2 * time.Second, Leeway: -1}, "mig")
	opts := asAdmin()
	opts.Jobs = 2
	r := dialHarbor(t, s, opts)
	s.Intercept(func(http.ResponseWriter, *http.Request) bool {
		time.Sleep(50 * time.Millisecond)
		return false
	})
	tokens := func() int { return tally(s.Requests())["token"] }
	for n := 0; tokens() < 4; n++ { // the first tests the password
		mustPush(t, r, image(fmt.Sprintf("mig/app:%d", n), fmt.Sprint(n)))
	}
}

// A slow stream pauses once in the middle.
type slowly struct {
	io.Reader
	left int64 // bytes before the pause
	wait func()
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.left > 0 {
		n, err := s.Reader.Read(p[:min(int64(len(p)), s.left)])
		s.left -= int64(n)
		return n, err
	}
	if s.wait != nil {
		s.wait()
		s.wait = nil
	}
	return s.Reader.Read(p)
}

// An upload that outlives its token goes on, and what comes after it has another.
func TestUploadOutlivesToken(t *testing.T) {
	const lifetime = 3 * time.Second // the server counts from the last full second
	s := startHarbor(t, &harbortest.Options{TokenLifetime: lifetime, Leeway: -1}, "mig")
	r := dialHarbor(t, s, asAdmin())
	f := image("mig/app:1", "the layer")
	d := r.Destination(f.Target)
	defer d.Close()
	put(t.Context(), t, d, f, 0, rewindable)
	info := types.BlobInfo{Digest: f.Blobs[1].Digest, Size: f.Blobs[1].Size}
	stream := &slowly{strings.NewReader("the layer"), 3, func() { time.Sleep(lifetime + 200*time.Millisecond) }}
	if _, err := d.PutBlob(t.Context(), stream, info, none.NoCache, false); err != nil {
		t.Fatal(err)
	}
	if err := d.PutManifest(t.Context(), f.files["manifest.json"], nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(t.Context(), f.Image); err != nil {
		t.Error(err)
	}
	if err := r.VerifyBlobs(t.Context(), f.Image); err != nil {
		t.Error(err)
	}
	if n := tally(s.Requests())["upload"]; n != 2 {
		t.Errorf("%d blobs were sent, want 2", n)
	}
}

// An upload survives the token that it was begun with.
func TestUploadSurvivesToken(t *testing.T) {
	const lifetime = 500 * time.Millisecond
	s := startHarbor(t, &harbortest.Options{TokenLifetime: lifetime, Leeway: -1}, "mig")
	r := dialHarbor(t, s, asAdmin())
	f := image("mig/app:1")
	var once sync.Once
	s.Intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		if q.Method == http.MethodPut {
			once.Do(func() { time.Sleep(lifetime + 200*time.Millisecond) })
		}
		return false
	})
	mustPush(t, r, f)
	all, _ := uploads(s.Requests())
	if got, want := strings.Join(all, ", "), "POST 202, PUT 401, PUT 201"; got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
}

// Who only compares asks for no right to push.
func TestReadOnlyTokens(t *testing.T) {
	s := startHarbor(t, nil, "mig")
	f := image("mig/app:1", "layer")
	mustPush(t, dialHarbor(t, s, asAdmin()), f)
	s.ResetRequests()
	opts := asAdmin()
	opts.ReadOnly = true
	r := dialHarbor(t, s, opts)
	if err := r.Verify(t.Context(), f.Image); err != nil {
		t.Error(err)
	}
	if err := r.VerifyBlobs(t.Context(), f.Image); err != nil {
		t.Error(err)
	}
	asked := 0
	for _, q := range s.Requests() {
		if q.Path == "/service/token" && strings.Contains(q.RawQuery, "scope=") {
			asked++
			if strings.Contains(q.RawQuery, "push") || !strings.HasSuffix(q.RawQuery, "%3Apull&service=harbor-registry") {
				t.Errorf("asked for a token with %s", q.RawQuery)
			}
		}
	}
	if asked != 1 {
		t.Errorf("%d tokens, want 1", asked)
	}
}

// No password and no token gets into an error, a hint, an outcome, a log, or a
// notification, even if the registry says it back.
func TestNoSecrets(t *testing.T) {
	var logs bytes.Buffer
	logger := logrus.StandardLogger()
	output, level := logger.Out, logger.Level
	logger.SetOutput(&logs)
	logger.SetLevel(logrus.TraceLevel)
	defer func() {
		logger.SetOutput(output)
		logger.SetLevel(level)
	}()
	const user = "robot$mig+pr"
	var mu sync.Mutex
	var said strings.Builder
	say := func(what ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(&said, what...)
	}
	tokens := map[string]bool{}
	s := startHarbor(t, nil, "mig")
	s.AddRobot(user, secret, harbortest.Robot{Projects: []string{"mig"}})
	opts := func(password string) *push.Options {
		return &push.Options{Username: user, Password: password, RetryTimes: 1, RetryDelay: 1,
			Notify:    func(err error, _ time.Duration) { say("notify", err) },
			Throttled: func(_ int, err error) { say("throttled", err) }}
	}
	echo := func(match string, code int) {
		s.Intercept(func(w http.ResponseWriter, q *http.Request) bool {
			header := q.Header.Get("Authorization")
			if token, ok := strings.CutPrefix(header, "Bearer "); ok {
				mu.Lock()
				tokens[token] = true
				mu.Unlock()
			}
			if !strings.Contains(q.Method+" "+q.URL.Path, match) || header == "" {
				return false
			}
			name, password, _ := q.BasicAuth()
			io.Copy(io.Discard, q.Body)
			w.Header().Set("Www-Authenticate", fmt.Sprintf(`Basic realm="%s %s"`, name, password))
			scheme := []string{"http", "ftp"}[len(match)%2]
			w.Header().Set("Location", fmt.Sprintf("%s://%s:%s@%s/?secret=%s", scheme, "user", secret, q.Host, secret))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"errors":[{"code":"%s","message":"%s","detail":"%s"}]}`, header, header+" "+password, header+password)
			return true
		})
	}
	for _, match := range []string{onToken, "GET /v2/mig/app/tags/list", onUpload, onBlob, onManifest, "HEAD /v2/"} {
		for _, code := range []int{202, 302, 307, 400, 401, 403, 404, 429, 500} {
			s.Intercept(nil)
			r := dial(t, s.Host(), opts(secret))
			echo(match, code)
			f := image("mig/app:1", fmt.Sprint(match, code))
			o, err := f.pushTo(t.Context(), t, r)
			say(match, code, o.Error, err, report.Advice(err), r.Verify(t.Context(), f.Image), r.VerifyBlobs(t.Context(), f.Image))
			_, err = push.Dial(t.Context(), plainHTTP(s.Host()), noAuthFile(t, opts(secret)))
			say("dial", err, report.Advice(err))
		}
	}
	s.Intercept(nil)
	_, err := push.Dial(t.Context(), plainHTTP(s.Host()), noAuthFile(t, opts("another "+secret)))
	say("dial", err, report.Advice(err))

	if len(tokens) < 10 || strings.Count(said.String(), "…") < 10 {
		t.Errorf("%d tokens were seen, and the registry said things back %d times", len(tokens), strings.Count(said.String(), "…"))
	}
	tokens[secret] = true
	tokens[base64.StdEncoding.EncodeToString([]byte(user+":"+secret))] = true
	for where, text := range map[string]string{"errors": said.String(), "logs": logs.String()} {
		for token := range tokens {
			if at := strings.Index(text, token); at >= 0 {
				t.Errorf("a secret in the %s: %s", where, text[max(at-300, 0):min(at+100, len(text))])
			}
		}
	}
}
