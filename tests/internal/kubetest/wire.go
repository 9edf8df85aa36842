package kubetest

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Wire is a way to the API server that notes every request that passes it: what a client sends is seen here, whatever it
// believes.
type Wire struct {
	Config *rest.Config
	CA     []byte // PEM, of what serves this way

	mu   sync.Mutex
	seen []string
}

// Wire opens one, for the bearer of token; the administrator's where it is empty.
func (s *Server) Wire(t testing.TB, token string) *Wire {
	t.Helper()
	target, err := url.Parse(s.admin.Host)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8}
	w := &Wire{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		verb := in.Method
		if in.URL.Query().Has("dryRun") {
			verb = "TRY"
		}
		w.mu.Lock()
		w.seen = append(w.seen, verb+" "+in.URL.Path)
		w.mu.Unlock()
		proxy.ServeHTTP(out, in)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	w.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if token == "" {
		token = adminToken
	}
	w.Config = &rest.Config{Host: server.URL, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: w.CA}}
	return w
}

// Take returns the requests since the last Take: all of them, a dry run as TRY, and those that write.
func (w *Wire) Take() (all, writes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all, w.seen = w.seen, nil
	for _, r := range all {
		if !slices.ContainsFunc([]string{"GET ", "HEAD ", "OPTIONS ", "TRY "}, func(verb string) bool { return strings.HasPrefix(r, verb) }) {
			writes = append(writes, r)
		}
	}
	return all, writes
}

// Namespace makes one for a test. It stays: the server lives for one run.
func (s *Server) Namespace(t testing.TB) string {
	t.Helper()
	ns, err := s.Admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	return ns.Name
}

// Token is what a pod of a ServiceAccount would be given.
func (s *Server) Token(t testing.TB, namespace, account string) string {
	t.Helper()
	r, err := s.Admin.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, &authv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	return r.Status.Token
}
