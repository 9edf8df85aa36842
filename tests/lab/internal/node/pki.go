package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// users of the API server: a token each in place of client certificates.
var users = []struct{ name, user, group string }{
	{"admin", "kubernetes-admin", "system:masters"},
	{"kcm", "system:kube-controller-manager", ""},
	{"sched", "system:kube-scheduler", ""},
	{"kubelet", "system:node:" + Name, "system:nodes"},
	{"proxy", "system:kube-proxy", ""},
	{"netpol", "netpol", ""},
}

// writePKI makes the certificates, the service accounts' key, the tokens and a kubeconfig per user.
func writePKI(lab where.Lab) error {
	dir := lab.Path("pki")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab-ca"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0)}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP(where.APIServer), net.ParseIP(where.APIService)}}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	sa, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	saPub, err := x509.MarshalPKIXPublicKey(&sa.PublicKey)
	if err != nil {
		return err
	}
	files["ca.crt"] = block("CERTIFICATE", caDER)
	files["apiserver.crt"] = block("CERTIFICATE", leafDER)
	files["apiserver.key"] = block("EC PRIVATE KEY", keyDER)
	files["sa.key"] = block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(sa))
	files["sa.pub"] = block("PUBLIC KEY", saPub)
	for _, u := range users {
		raw := make([]byte, 16)
		if _, err := rand.Read(raw); err != nil {
			return err
		}
		token := hex.EncodeToString(raw)
		line := fmt.Sprintf("%s,%s,%s", token, u.user, u.name)
		if u.group != "" {
			line += fmt.Sprintf(",%q", u.group)
		}
		files["tokens.csv"] = append(files["tokens.csv"], line+"\n"...)
		if files[u.name+".kubeconfig"], err = kubeconfig(filepath.Join(dir, "ca.crt"), token); err != nil {
			return err
		}
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func kubeconfig(ca, token string) ([]byte, error) {
	type named = map[string]any
	return json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "lab",
		"contexts": []named{{"name": "lab", "context": named{"cluster": "lab", "user": "lab"}}},
		"clusters": []named{{"name": "lab", "cluster": named{"server": "https://" + where.APIServer + ":6443", "certificate-authority": ca}}},
		"users":    []named{{"name": "lab", "user": named{"token": token}}},
	})
}
