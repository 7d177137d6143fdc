package flax_test
import ("testing";"os";"bytes";"fmt";"encoding/binary";"math/rand/v2";"crypto/sha256";"sort";"strings"
 "github.com/koala-go/sdk/internal/flax")
func TestTmpDump(t *testing.T){
 rng:=rand.New(rand.NewPCG(9,9))
 s8:=[]byte("\x92\x92\xa1a\xa1b\xc4\x10\xc7\x0d\x01\x93\x91\x01\xa7float16\xc4\x02hi\x92\x91\xa1c\xc4\x12\xd8\x01\x93\x91\x01\xa8bfloat16\xc4\x02yo")
 s8[6]=byte(0); // fixed below
 mk:=func(x string, v []byte) []byte { return append(append([]byte("\x92\x92\xa1"+x+"\xa1k\xc4"),byte(len(v))),v...) }
 a1:=[]byte("\xc7\x0e\x01\x93\x91\x01\xa7float16\xc4\x02hi"); a1[1]=byte(len(a1)-3)
 a2:=[]byte("\xc7\x0e\x01\x93\x92\x02\x01\xa3<f4\xc4\x08abcdefgh"); a2[1]=byte(len(a2)-3)
 a3:=[]byte("\xc7\x0e\x01\x93\x90\xa8bfloat16\xc4\x02hi"); a3[1]=byte(len(a3)-3)
 ch:=chunked(truth,dict(str("0"),two,str("1"),one),dict(str("0"),a1,str("1"),a1))
 seeds:=[][]byte{ append(mk("a",a1),mk("b",a2)...), mk("a",ch), dict(str("p"),dict(str("x"),a1,str("y"),ch),str("s"),one,str("t"),list(one,str("x"),null)), append(mk("a",a3),mk("b",[]byte{5})...), dict(str("a"),a2,str("b"),a3), mk("a",dict(str("q"),a1,str("r"),list())) }
 alpha:="\x00\x01\x02\x03\x7f\x80\x81\x82\x90\x91\x92\x93\xa0\xa1\xa2\xa8\xc0\xc1\xc2\xc3\xc4\xc5\xc7\xca\xcc\xcd\xd0\xd4\xd5\xd8\xd9\xda\xdc\xde\xe0\xffab01\"<f248i|"
 f,_:=os.Create("/tmp/kwire/flax.bin"); defer f.Close()
 seen:=map[[32]byte]bool{}; n:=0
 for range 6000000 { h:=append([]byte(nil),seeds[rng.IntN(len(seeds))]...); for range 1+rng.IntN(4) { if len(h)==0{break}; i:=rng.IntN(len(h)); c:=alpha[rng.IntN(len(alpha))]
   switch rng.IntN(6){ case 0,1: h[i]=c; case 2: h=append(h[:i:i],append([]byte{c},h[i:]...)...); case 3: h=append(h[:i:i],h[i+1:]...); case 4: h[i]+=byte(rng.IntN(3)-1); case 5: j:=rng.IntN(len(h)); h[i],h[j]=h[j],h[i]} }
  k:=sha256.Sum256(h); if seen[k]{continue}; seen[k]=true
  if fl,err:=flax.Read(bytes.NewReader(h),int64(len(h))); err==nil { n++
   var L []string; for i:=range fl.Tensors { x:=&fl.Tensors[i]; L=append(L,fmt.Sprintf("%s|%s|%v|%x",x.Name,x.DType,x.Shape,dataOf(t,x))) }; sort.Strings(L); txt:=strings.Join(L,"\x00")
   f.Write(binary.LittleEndian.AppendUint32(nil,uint32(len(h)))); f.Write(binary.LittleEndian.AppendUint32(nil,uint32(len(txt)))); f.Write(h); f.Write([]byte(txt)) } }
 fmt.Println(n)
}
