//
// A peripheral for Renode: the SPI end of a module that "understudy run --bus tcp:HOST:PORT"
// offers. It speaks the protocol of docs/bus-socket.md. See docs/firmware.md.
//
using System;
using System.IO;
using System.Net.Sockets;
using System.Text;
using System.Threading;

using Antmicro.Renode.Core;

namespace Antmicro.Renode.Peripherals.SPI
{
    // Inputs: 0 is RESET_N, 1 is CHIP_EN. Output: IRQ is IRQN, low when the module has a message.
    // Chip select needs no wire: the protocol does not care about it.
    public class Understudy : ISPIPeripheral, IGPIOReceiver, IDisposable
    {
        public Understudy(IMachine machine, string host = "127.0.0.1", int port = 7150)
        {
            this.machine = machine;
            IRQ = new GPIO();
            IRQ.Set(true);
            client = new TcpClient(host, port) { NoDelay = true };
            stream = client.GetStream();
            reader = new Thread(Read) { IsBackground = true, Name = "understudy" };
            reader.Start();
            var version = Ask(Hello, new byte[] { (byte)'U', (byte)'S', (byte)'T', (byte)'B', 1, 0, 0, 0 });
            if(version.Length < 8 || version[0] != 1 || version[1] != 0)
            {
                throw new IOException("the bus server speaks another version of the protocol");
            }
        }

        public GPIO IRQ { get; }

        // The machine is reset: so is the module. The firmware's own reset lines come on top.
        public void Reset()
        {
            Line(ResetLine, false);
            Line(EnableLine, false);
            Line(EnableLine, true);
            Line(ResetLine, true);
        }

        // One byte both ways is one window of one slot.
        public byte Transmit(byte data)
        {
            var answer = Ask(Tx, new byte[] { 1, 0, 0, 0, data });
            if(low)
            {
                Ask(IrqLevel, new byte[0]); // the byte may have made the line rise
                Drive();
            }
            return answer.Length > 4 ? answer[4] : (byte)0; // zeros are left out
        }

        public void FinishTransmission()
        {
        }

        public void OnGPIO(int number, bool value)
        {
            switch(number)
            {
                case 0:
                    Line(ResetLine, value);
                    break;
                case 1:
                    Line(EnableLine, value);
                    break;
            }
        }

        public void Dispose()
        {
            client.Close();
            reader.Join();
        }

        private void Line(byte kind, bool level)
        {
            Ask(kind, new byte[] { level ? (byte)1 : (byte)0 });
            Ask(IrqLevel, new byte[0]); // a module in reset lets go of the line
            Drive();
        }

        // Ask sends a request and waits for its answer. Requests come from one thread at a time, that of the machine.
        private byte[] Ask(byte kind, byte[] payload)
        {
            var frame = new byte[Header + payload.Length];
            frame[0] = kind;
            frame[1] = WantAnswer;
            BitConverter.GetBytes((uint)payload.Length).CopyTo(frame, 4);
            payload.CopyTo(frame, Header);
            lock(sync)
            {
                answer = null;
                asked = (byte)(kind | Answer);
            }
            stream.Write(frame, 0, frame.Length);
            lock(sync)
            {
                var until = DateTime.UtcNow + Patience;
                while(answer == null)
                {
                    var left = until - DateTime.UtcNow;
                    if(failure != null || left <= TimeSpan.Zero)
                    {
                        throw new IOException("the bus of the module is lost: " + (failure ?? "no answer in time"));
                    }
                    Monitor.Wait(sync, left);
                }
                return answer;
            }
        }

        // Read takes what the server says, in order, so that the last word about the line is the latest.
        private void Read()
        {
            try
            {
                while(true)
                {
                    var header = Take(Header);
                    var length = BitConverter.ToUInt32(header, 4);
                    if(length > MaxPayload)
                    {
                        throw new IOException("a frame of " + length + " bytes");
                    }
                    Handle(header[0], header[1], Take((int)length));
                }
            }
            catch(Exception e)
            {
                lock(sync)
                {
                    failure = e.Message;
                    Monitor.PulseAll(sync);
                }
            }
        }

        private void Handle(byte kind, byte flags, byte[] payload)
        {
            if(kind == Edge)
            {
                low = true;
                // This is not the machine's thread: let its time come to a stand.
                machine.LocalTimeSource.ExecuteInNearestSyncedState(_ => Drive());
                return;
            }
            if(kind == Refuse)
            {
                throw new IOException("refused: " + Encoding.UTF8.GetString(payload, 1, Math.Max(0, payload.Length - 1)));
            }
            if((flags & Failed) != 0)
            {
                throw new IOException(Encoding.UTF8.GetString(payload));
            }
            lock(sync)
            {
                if(kind != asked)
                {
                    throw new IOException("an answer that nobody asked for");
                }
                if(kind == (IrqLevel | Answer))
                {
                    low = payload[0] != 0;
                }
                answer = payload;
                Monitor.PulseAll(sync);
            }
        }

        private byte[] Take(int n)
        {
            var b = new byte[n];
            for(var at = 0; at < n;)
            {
                var k = stream.Read(b, at, n - at);
                if(k <= 0)
                {
                    throw new IOException("the server went away");
                }
                at += k;
            }
            return b;
        }

        private void Drive()
        {
            IRQ.Set(!low);
        }

        private const byte Hello = 1, Tx = 2, ResetLine = 3, EnableLine = 4, IrqLevel = 5;
        private const byte Answer = 0x80, Edge = 0xc0, Refuse = 0xfe;
        private const byte WantAnswer = 1, Failed = 1;
        private const int Header = 8;
        private const uint MaxPayload = 262148;

        private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

        private readonly IMachine machine;
        private readonly TcpClient client;
        private readonly NetworkStream stream;
        private readonly Thread reader;
        private readonly object sync = new object();
        private byte asked;
        private byte[] answer;
        private string failure;
        private volatile bool low;
    }
}
