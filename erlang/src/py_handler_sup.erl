%% @doc Supervises the handlers, one for each connection.
-module(py_handler_sup).
-behaviour(supervisor).

-export([start_link/0, start_handler/0, handlers/0, dismiss/2]).
-export([init/1]).

-define(MOMENT, 100).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% @doc A handler that waits for its connection, see {@link py_handler:give/2}.
-spec start_handler() -> {ok, pid()} | {error, term()}.
start_handler() ->
    case supervisor:start_child(?MODULE, []) of
        {ok, Pid} when is_pid(Pid) -> {ok, Pid};
        {error, Reason} -> {error, Reason}
    end.

-spec handlers() -> [pid()].
handlers() ->
    [Pid || {_, Pid, _, _} <- supervisor:which_children(?MODULE), is_pid(Pid)].

%% @doc Ends a handler, and the function that it may be running, for a reason that is no fault:
%% nothing is reported. A function that has made it trap exits gets a moment to end by itself. The
%% caller does not wait.
-spec dismiss(pid(), term()) -> ok.
dismiss(Handler, Reason) ->
    exit(Handler, {shutdown, Reason}),
    _ = spawn(fun() ->
        Monitor = monitor(process, Handler),
        receive {'DOWN', Monitor, process, _, _} -> true after ?MOMENT -> exit(Handler, kill) end
    end),
    ok.

%% Temporary: a connection that has failed cannot be mended by a new process, the other end connects
%% again.
-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Handler = #{id => py_handler, start => {py_handler, start_link, []}, restart => temporary, shutdown => 1000},
    {ok, {#{strategy => simple_one_for_one}, [Handler]}}.
