import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollEventLoopGroup;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.pool.AbstractChannelPoolHandler;
import io.netty.channel.pool.ChannelPool;
import io.netty.channel.pool.FixedChannelPool;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.util.AttributeKey;
import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.Promise;
import io.netty.util.concurrent.PromiseCombiner;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;

/**
 * Netty alone: two event loops for connections of both sides, calls over a pool of connections that both share. The
 * variant "epoll" has Netty's own transport, "mixed" for calls only, on loops of their own.
 */
public final class Main {
  private static final int EVENT_LOOPS = 2;
  private static final int LARGEST = 1 << 20;
  private static final AttributeKey<Promise<Void>> WAITING = AttributeKey.valueOf("waiting");
  private static final String VARIANT = System.getProperty("variant", "");
  private static final boolean OWN = VARIANT.equals("epoll");
  private static final boolean OWN_CALLS = OWN || VARIANT.equals("mixed");
  private static final EventLoopGroup LOOPS = loops(OWN);
  private static final EventLoopGroup CALL_LOOPS = OWN == OWN_CALLS ? LOOPS : loops(OWN_CALLS);
  private static final ChannelPool POOL = pool();

  public static void main(String[] args) {
    new ServerBootstrap().group(LOOPS).channel(OWN ? EpollServerSocketChannel.class : NioServerSocketChannel.class)
        .option(ChannelOption.SO_BACKLOG, 4096)
        .childHandler(new ChannelInitializer<Channel>() {
          @Override
          protected void initChannel(Channel channel) {
            channel.pipeline().addLast(new HttpServerCodec(), new HttpObjectAggregator(LARGEST), new Requests());
          }
        }).bind("127.0.0.1", Plan.PORT);
  }

  private static EventLoopGroup loops(boolean own) {
    return own ? new EpollEventLoopGroup(EVENT_LOOPS) : new NioEventLoopGroup(EVENT_LOOPS);
  }

  private static ChannelPool pool() {
    Bootstrap bootstrap = new Bootstrap().group(CALL_LOOPS)
        .channel(OWN_CALLS ? EpollSocketChannel.class : NioSocketChannel.class)
        .remoteAddress("127.0.0.1", Plan.BACKEND_PORT);
    return new FixedChannelPool(bootstrap, new AbstractChannelPoolHandler() {
      @Override
      public void channelCreated(Channel channel) {
        channel.pipeline().addLast(new HttpClientCodec(), new HttpObjectAggregator(LARGEST), new Responses());
      }
    }, Plan.CONNECTIONS);
  }

  private static final class Requests extends SimpleChannelInboundHandler<FullHttpRequest> {
    @Override
    protected void channelRead0(ChannelHandlerContext context, FullHttpRequest request) {
      byte[] body = ByteBufUtil.getBytes(request.content());
      Promise<Void> done = context.executor().newPromise();
      done.addListener(future -> answer(context, future.isSuccess()));
      run(context.executor(), Plan.steps(body).iterator(), request.uri(), body, done);
    }

    private static void answer(ChannelHandlerContext context, boolean right) {
      DefaultFullHttpResponse response = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1,
          right ? HttpResponseStatus.OK : HttpResponseStatus.BAD_GATEWAY,
          Unpooled.copiedBuffer("done\n", StandardCharsets.UTF_8));
      response.headers().set(HttpHeaderNames.CONTENT_LENGTH, response.content().readableBytes());
      context.writeAndFlush(response);
    }
  }

  private static void run(
      EventExecutor executor, Iterator<Plan.Step> steps, String path, byte[] body, Promise<Void> done) {
    if (!steps.hasNext()) {
      done.setSuccess(null);
      return;
    }
    Plan.Step step = steps.next();
    Runnable calls = () -> {
      PromiseCombiner all = new PromiseCombiner(executor);
      for (int index : step.calls()) all.add((Future<?>) call(executor, path, body, index));
      Promise<Void> made = executor.newPromise();
      made.addListener(future -> {
        if (future.isSuccess()) run(executor, steps, path, body, done);
        else done.setFailure(future.cause());
      });
      all.finish(made);
    };
    if (step.pauseMicros() == 0) calls.run();
    else executor.schedule(calls, step.pauseMicros(), TimeUnit.MICROSECONDS);
  }

  private static Future<Void> call(EventExecutor executor, String path, byte[] body, int index) {
    Promise<Void> answered = executor.newPromise();
    POOL.acquire().addListener((Future<Channel> acquired) -> {
      if (!acquired.isSuccess()) {
        answered.setFailure(acquired.cause());
        return;
      }
      Channel channel = acquired.getNow();
      channel.attr(WAITING).set(answered);
      DefaultFullHttpRequest request = new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.POST,
          Plan.callPath(path, index), Unpooled.wrappedBuffer(Plan.callBody(body, index)));
      request.headers().set(HttpHeaderNames.HOST, "127.0.0.1");
      request.headers().set(HttpHeaderNames.CONTENT_LENGTH, request.content().readableBytes());
      channel.writeAndFlush(request);
    });
    return answered;
  }

  @Sharable
  private static final class Responses extends SimpleChannelInboundHandler<FullHttpResponse> {
    @Override
    protected void channelRead0(ChannelHandlerContext context, FullHttpResponse response) {
      Promise<Void> answered = context.channel().attr(WAITING).getAndSet(null);
      POOL.release(context.channel());
      if (response.status().equals(HttpResponseStatus.OK)) answered.setSuccess(null);
      else answered.setFailure(new IllegalStateException("backend answered " + response.status()));
    }
  }

  private Main() {}
}
