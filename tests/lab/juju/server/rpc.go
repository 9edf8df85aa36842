package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/gorilla/websocket"
	"github.com/juju/juju/api"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/rpc"
	"github.com/juju/juju/rpc/jsoncodec"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
	"github.com/juju/rpcreflect"

	"github.com/charmarr/charmarr-go/tests/lab/juju/agent"
	"github.com/charmarr/charmarr-go/tests/lab/juju/client"
	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

var (
	clientMethods = client.Methods()
	agentMethods  = agent.Methods()
)

// rpc serves one connection until it ends.
func (s *Server) rpc(w http.ResponseWriter, r *http.Request, uuid string) {
	m, err := s.model(uuid)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	root := &root{server: s, model: m}
	conn := rpc.NewConn(jsoncodec.NewWebsocket(socket), nil)
	conn.ServeRoot(root, nil, nil)
	conn.Start(context.Background())
	<-conn.Dead()
	root.close()
	_ = conn.Close()
}

// root is a connection's far end: nobody's until a login, then a user's or an agent's.
type root struct {
	server *Server
	model  *model.Model
	who    string
	user   *client.Conn
	agent  *agent.Conn
}

func (r *root) close() {
	if r.user != nil {
		r.user.Close()
	}
	if r.agent != nil {
		r.agent.Close()
	}
}

// Kill ends nothing that the connection's own end does not.
func (*root) Kill() {}

// FindMethod takes every call: whether there is such a method is told in the lab's own words.
func (r *root) FindMethod(group string, _ int, name string) (rpcreflect.MethodCaller, error) {
	return call{r, group, name}, nil
}

type call struct {
	*root
	facade, method string
}

func (call) ParamsType() reflect.Type { return reflect.TypeFor[json.RawMessage]() }
func (call) ResultType() reflect.Type { return reflect.TypeFor[any]() }

// Call answers one request.
func (c call) Call(_ context.Context, id string, arg reflect.Value) (reflect.Value, error) {
	raw := arg.Interface().(json.RawMessage)
	out, err := c.answer(id, raw)
	c.server.tell(c.who, c.facade+"."+c.method, err)
	if err != nil {
		return reflect.Value{}, err
	}
	return reflect.ValueOf(&out).Elem(), nil
}

func (c call) answer(id string, raw json.RawMessage) (any, error) {
	name := c.facade + "." + c.method
	switch {
	case name == "Admin.Login":
		return c.login(raw)
	case c.user != nil:
		if handler := clientMethods[name]; handler != nil {
			return handler(c.user, id, raw)
		}
	case c.agent != nil:
		if handler := agentMethods[name]; handler != nil {
			return handler(c.agent, id, raw)
		}
	default:
		return nil, facade.Error(apiservererrors.ErrPerm)
	}
	return nil, facade.NotDone(c.facade, c.method)
}

func (c call) login(raw json.RawMessage) (any, error) {
	var args params.LoginRequest
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, &params.Error{Code: params.CodeBadRequest, Message: fmt.Sprintf("cannot read the login: %v", err)}
	}
	out := params.LoginResult{
		Servers: agent.HostPorts(c.server.Addresses), ControllerTag: names.NewControllerTag(c.server.Controller.UUID).String(),
		ServerVersion: model.Version,
	}
	if c.model != nil {
		out.ModelTag = names.NewModelTag(c.model.UUID).String()
	}
	c.who = args.AuthTag
	if tag, err := names.ParseUserTag(args.AuthTag); err == nil {
		if tag.Id() != User || args.Credentials != Password {
			return nil, facade.Error(apiservererrors.ErrBadCreds)
		}
		c.user = &client.Conn{Controller: c.server.Controller, Model: c.model, Addresses: c.server.Addresses, CACert: c.server.CACert}
		for i := range out.Servers {
			for j := range out.Servers[i] {
				out.Servers[i][j].Scope = "public"
			}
		}
		out.Facades = client.Versions()
		out.UserInfo = &params.AuthUserInfo{Identity: args.AuthTag, ControllerAccess: "superuser", ModelAccess: "admin"}
		return out, nil
	}
	if c.model == nil {
		return nil, facade.Error(apiservererrors.ErrBadCreds)
	}
	who, err := agent.Open(c.server.Controller, c.model, args.AuthTag, args.Credentials)
	if err != nil {
		return nil, facade.Error(err)
	}
	who.Addresses, who.CACert = c.server.Addresses, c.server.CACert
	c.agent = who
	for name, versions := range api.SupportedFacadeVersions() {
		out.Facades = append(out.Facades, params.FacadeVersions{Name: name, Versions: versions})
	}
	return out, nil
}

// tell writes a line for a call, if anybody wants to see it.
func (s *Server) tell(who, what string, err error) {
	if s.Trace == nil {
		return
	}
	s.trace.Lock()
	defer s.trace.Unlock()
	if err != nil {
		fmt.Fprintf(s.Trace, "%s %s: %v\n", who, what, err)
		return
	}
	fmt.Fprintf(s.Trace, "%s %s\n", who, what)
}
