//
// What the peripheral for Renode needs of Renode, and a machine that plays the host of the C
// example on it, byte by byte: see renode_test.go.
//
using System;
using System.Threading;

using Antmicro.Renode.Core;
using Antmicro.Renode.Peripherals;
using Antmicro.Renode.Peripherals.SPI;
using Antmicro.Renode.Time;

namespace Antmicro.Renode.Time
{
    public struct TimeStamp
    {
    }

    public class TimeSource
    {
        public void ExecuteInNearestSyncedState(Action<TimeStamp> what)
        {
            what(new TimeStamp());
        }
    }
}

namespace Antmicro.Renode.Peripherals
{
    public interface IPeripheral
    {
        void Reset();
    }
}

namespace Antmicro.Renode.Peripherals.SPI
{
    public interface ISPIPeripheral : IPeripheral
    {
        byte Transmit(byte data);
        void FinishTransmission();
    }
}

namespace Antmicro.Renode.Core
{
    public interface IGPIOReceiver : IPeripheral
    {
        void OnGPIO(int number, bool value);
    }

    public interface IMachine
    {
        TimeSource LocalTimeSource { get; }
    }

    public class GPIO
    {
        public bool IsSet { get; private set; }
        public int Falls;

        public void Set(bool value)
        {
            if(IsSet && !value)
            {
                Interlocked.Increment(ref Falls);
            }
            IsSet = value;
        }
    }
}

public class Machine : IMachine
{
    public TimeSource LocalTimeSource { get; } = new TimeSource();

    private static Understudy spi;

    private static byte[] Clock(byte[] w, int more)
    {
        var r = new byte[more];
        foreach(var b in w)
        {
            spi.Transmit(b);
        }
        for(var i = 0; i < more; i++)
        {
            r[i] = spi.Transmit(0);
        }
        spi.FinishTransmission();
        return r;
    }

    private static byte[] Command(byte command, uint addr, params byte[] rest)
    {
        var w = new byte[4 + rest.Length];
        w[0] = command;
        w[1] = (byte)(addr >> 16);
        w[2] = (byte)(addr >> 8);
        w[3] = (byte)addr;
        rest.CopyTo(w, 4);
        return w;
    }

    private static uint Read(uint addr)
    {
        var r = Clock(Command(0xca, addr), 7);
        if(r[0] != 0xca || r[1] != 0 || r[2] != 0xf3)
        {
            throw new Exception("read of " + addr.ToString("x"));
        }
        return BitConverter.ToUInt32(r, 3);
    }

    private static void Write(uint addr, uint v)
    {
        var r = Clock(Command(0xc9, addr, (byte)(v >> 24), (byte)(v >> 16), (byte)(v >> 8), (byte)v), 2);
        if(r[0] != 0xc9 || r[1] != 0)
        {
            throw new Exception("write of " + addr.ToString("x"));
        }
    }

    private static void Await(uint addr, uint mask, uint want)
    {
        for(var i = 0; i < 5000; i++)
        {
            if((Read(addr) & mask) == want)
            {
                return;
            }
            Thread.Sleep(1);
        }
        throw new Exception("register " + addr.ToString("x"));
    }

    private static void Post()
    {
        Write(0x108c, 0x00080501); // get connection info
        Write(0x1078, 2);
        Await(0x1078, 2, 0);
        var at = Read(0x150400);
        Clock(Command(0xc7, at, 0, 0, 8), 2);
        Clock(new byte[] { 0xf3, 1, 5, 8, 0, 0, 0, 0, 0 }, 3);
        Write(0x106c, at << 2 | 2);
    }

    public static int Main(string[] args)
    {
        try
        {
            spi = new Understudy(new Machine(), args[0], int.Parse(args[1]));
            spi.Reset();
            spi.OnGPIO(0, false);
            spi.OnGPIO(1, false);
            Thread.Sleep(5);
            spi.OnGPIO(1, true);
            Thread.Sleep(5);
            spi.OnGPIO(0, true);
            Thread.Sleep(10);
            Clock(new byte[] { 0xc9, 0, 0xe8, 0x24, 0, 0, 0, 0x52, 0x5c }, 2); // checksums off
            Console.WriteLine("chip {0:x}", Read(0x1000));
            Await(0xc000c, 0xffffffff, 0x10add09e);
            Write(0x108c, 0x13301377);
            Write(0x14a0, 0x102);
            Write(0xc000c, 0xef522f61);
            Await(0x108c, 0xffffffff, 0x02532636);
            Write(0x108c, 0);
            Write(0x1408, 0x100);
            Write(0x1a00, 0x10000);
            for(var i = 1; i <= 3; i++)
            {
                Post();
                for(var j = 0; j < 5000 && spi.IRQ.IsSet; j++)
                {
                    Thread.Sleep(1);
                }
                var low = !spi.IRQ.IsSet;
                var v = Read(0x1070);
                Write(0x1070, v & ~1u);
                var high = spi.IRQ.IsSet;
                var message = Clock(Command(0xc8, Read(0x1084), 0, 0, 4), 7);
                Write(0x1070, v & ~1u | 2);
                Console.WriteLine("message {0} {1}, line low {2}, then high {3}, {4} falls", message[3], message[4], low, high, spi.IRQ.Falls);
            }
            spi.Dispose();
            return 0;
        }
        catch(Exception e)
        {
            Console.WriteLine(e);
            return 1;
        }
    }
}
