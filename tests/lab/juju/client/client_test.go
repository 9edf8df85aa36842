package client

import (
	"archive/zip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/juju/errors"
	"github.com/juju/juju/rpc"
	"github.com/juju/juju/rpc/jsoncodec"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
	"github.com/juju/rpcreflect"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// TestStories runs the unmodified juju program against a controller in this process, one for each story and
// without a cluster: no agent ever answers, so units stay as they were made.
func TestStories(t *testing.T) {
	juju := jujuProgram(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			return serve(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"juju": func(ts *testscript.TestScript, neg bool, args []string) {
				err := ts.Exec(juju, args...)
				if (err != nil) != neg {
					ts.Fatalf("juju %s: %v", strings.Join(args, " "), err)
				}
			},
			"pack":  packCharm,
			"agent": pretendAgent,
		},
	})
}

// jujuProgram is the program of $JUJU, or else built from this module's own requirement of Juju.
func jujuProgram(t *testing.T) string {
	if path := os.Getenv("JUJU"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "juju")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags=minimal,provider_kubernetes", "-o", path, "github.com/juju/juju/cmd/juju")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build juju: %v\n%s", err, out)
	}
	return path
}

// packCharm zips a folder of the story as a charm: pack FOLDER FILE.
func packCharm(ts *testscript.TestScript, _ bool, args []string) {
	out, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	defer out.Close()
	z := zip.NewWriter(out)
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, path := range files {
		text, err := os.ReadFile(path)
		ts.Check(err)
		header := &zip.FileHeader{Name: filepath.Base(path), Method: zip.Deflate}
		header.SetMode(0o755)
		w, err := z.CreateHeader(header)
		ts.Check(err)
		_, err = w.Write(text)
		ts.Check(err)
	}
	ts.Check(z.Close())
}

// pretendAgent does what an agent would, for the stories that wait for one:
//
//	agent MODEL status UNIT STATUS MESSAGE: and it leads
//	agent MODEL action NAME: the next action of that name starts, says "working" and completes with seen=203.0.113.9
//	agent MODEL log TEXT
func pretendAgent(ts *testscript.TestScript, _ bool, args []string) {
	c := ts.Value(controllerKey{}).(*model.Controller)
	var m *model.Model
	c.View(func() {
		for _, have := range c.Models {
			if have.Name == args[0] {
				m = have
			}
		}
	})
	switch args[1] {
	case "status":
		ts.Check(c.Update(func() error {
			u := m.Units[args[2]]
			u.Agent, u.Workload = model.StatusNow("idle", ""), model.StatusNow(args[3], args[4])
			m.Apps[u.App].Leader = u.Name
			return nil
		}))
	case "log":
		ts.Check(c.Update(func() error {
			m.Logs = append(m.Logs, params.LogMessage{Entity: "unit-client-0", Timestamp: time.Now(), Severity: "INFO", Module: "unit.client/0.juju-log", Message: args[2]})
			return nil
		}))
	case "action":
		go func() {
			for !runAction(c, m, args[2]) {
				time.Sleep(50 * time.Millisecond)
			}
		}()
	}
}

// runAction takes up the next action of a name, if there is one, and completes it a while after its first message.
func runAction(c *model.Controller, m *model.Model, name string) bool {
	var taken *model.Action
	_ = c.Update(func() error {
		for _, a := range m.Actions {
			if a.Name == name && a.Status == params.ActionPending {
				taken = a
				a.Status, a.Started = params.ActionRunning, time.Now()
				a.Log = append(a.Log, params.ActionMessage{Timestamp: time.Now(), Message: "working"})
			}
		}
		return nil
	})
	if taken == nil {
		return false
	}
	time.Sleep(500 * time.Millisecond)
	_ = c.Update(func() error {
		taken.Status, taken.Completed, taken.Results = params.ActionCompleted, time.Now(), map[string]any{"seen": "203.0.113.9"}
		return nil
	})
	return true
}

type controllerKey struct{}

// serve starts a controller for one story and gives the story a juju that knows it.
func serve(env *testscript.Env) error {
	ctl := model.New()
	env.Values[controllerKey{}] = ctl
	cert, ca, err := certificate()
	if err != nil {
		return err
	}
	server := httptest.NewUnstartedServer(nil)
	port := server.Listener.Addr().(*net.TCPAddr).Port
	charms := filepath.Join(env.WorkDir, ".charms")
	if err := os.MkdirAll(charms, 0o700); err != nil {
		return err
	}
	open := func(uuid string) (*Conn, error) {
		c := &Conn{Controller: ctl, Addresses: []string{fmt.Sprintf("localhost:%d", port)}, CACert: ca}
		ctl.View(func() { c.Model = ctl.Models[uuid] })
		if c.Model == nil && uuid != "" {
			return nil, errors.NotFoundf("model %q", uuid)
		}
		return c, nil
	}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ServeHTTP(w, r, open, charms) {
			return
		}
		uuid := ""
		if words := strings.Split(r.URL.Path, "/"); words[1] == "model" {
			uuid = words[2]
		}
		c, err := open(uuid)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		serveRPC(w, r, c, port)
	})
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	env.Defer(server.CloseClientConnections)
	data := filepath.Join(env.WorkDir, ".juju")
	env.Setenv("JUJU_DATA", data)
	env.Setenv("HOME", env.WorkDir)
	return writeStore(data, ctl.UUID, port, ca)
}

func writeStore(dir, uuid string, port int, ca string) error {
	indented := "      " + strings.ReplaceAll(strings.TrimSpace(ca), "\n", "\n      ")
	for name, text := range map[string]string{
		"controllers.yaml":   fmt.Sprintf("controllers:\n  lab:\n    uuid: %s\n    api-endpoints: ['localhost:%d']\n    ca-cert: |\n%s\n    cloud: lab\n    type: kubernetes\n    agent-version: %s\ncurrent-controller: lab\n", uuid, port, indented, agentVersion),
		"accounts.yaml":      "controllers:\n  lab:\n    user: admin\n    password: admin\n    last-known-access: superuser\n",
		"public-clouds.yaml": "clouds: {}\n",
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func certificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	from, to := time.Now().Add(-time.Hour), time.Now().AddDate(0, 0, 1)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "juju-ca"}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caBytes, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "*"}, DNSNames: []string{"juju-apiserver", "localhost"}, NotBefore: from, NotAfter: to}
	leafBytes, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caBytes}))
	return tls.Certificate{Certificate: [][]byte{leafBytes, caBytes}, PrivateKey: key}, text, nil
}

func serveRPC(w http.ResponseWriter, r *http.Request, c *Conn, port int) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	socket, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	conn := rpc.NewConn(jsoncodec.NewWebsocket(socket), nil)
	conn.ServeRoot(root{c, port}, nil, nil)
	conn.Start(context.Background())
	<-conn.Dead()
	c.Close()
	_ = conn.Close()
}

type root struct {
	conn *Conn
	port int
}

func (root) Kill() {}

func (r root) FindMethod(facade string, _ int, name string) (rpcreflect.MethodCaller, error) {
	return caller{r, facade, name}, nil
}

type caller struct {
	root
	facade, name string
}

func (caller) ParamsType() reflect.Type { return reflect.TypeFor[json.RawMessage]() }
func (caller) ResultType() reflect.Type { return reflect.TypeFor[any]() }

func (c caller) Call(_ context.Context, id string, arg reflect.Value) (reflect.Value, error) {
	out, err := c.call(id, arg.Interface().(json.RawMessage))
	if os.Getenv("TRACE") != "" {
		text, _ := json.Marshal(out)
		fmt.Fprintf(os.Stderr, "%s.%s %.300s -> %.400s %v\n", c.facade, c.name, arg.Interface(), text, err)
	}
	if err != nil {
		return reflect.Value{}, err
	}
	return reflect.ValueOf(&out).Elem(), nil
}

func (c caller) call(id string, raw json.RawMessage) (any, error) {
	if c.facade == "Admin" && c.name == "Login" {
		out := params.LoginResult{
			Servers:       [][]params.HostPort{{{Address: params.Address{Value: "localhost", Type: "hostname", Scope: "public"}, Port: c.port}}},
			ControllerTag: names.NewControllerTag(c.conn.Controller.UUID).String(), ServerVersion: agentVersion, Facades: Versions(),
			UserInfo: &params.AuthUserInfo{Identity: "user-admin", ControllerAccess: "superuser", ModelAccess: "admin"},
		}
		if c.conn.Model != nil {
			out.ModelTag = names.NewModelTag(c.conn.Model.UUID).String()
		}
		return out, nil
	}
	handler := Methods()[c.facade+"."+c.name]
	if handler == nil {
		return nil, facade.NotDone(c.facade, c.name)
	}
	return handler(c.conn, id, raw)
}
