%% @doc Ends one nested call of a context's, of which nobody waits for the answer, and leaves those around it alone.
%%
%% The host is asked again as long as it has not begun the call. An interrupt that comes late would hit the next call of the same level: so who
%% started this stops it, once the call is over and before it makes or answers another, and that waits for what is under way.
-module(py_interrupter).

-export([start/2, stop/1]).
-export_type([interrupter/0]).

-opaque interrupter() :: {pid(), reference()}.

%% Until what was missed is interrupted again, in ms: at first, and at most. It doubles each time, as a function may idle for an hour before
%% it lets Python go on.
-define(SOON, 20).
-define(LATE, 640).

%% @doc Has the context end the call of that level, counted from 1. Ends with the calling process.
-spec start(Context :: pid(), Level :: pos_integer()) -> interrupter().
start(Context, Level) ->
    Runner = self(),
    spawn_opt(fun() -> interrupt(Context, Level, Runner, ?SOON) end, [link, monitor]).

%% @doc Returns when no interrupt is under way any more.
-spec stop(interrupter()) -> ok.
stop({Pid, Monitor}) ->
    Pid ! {?MODULE, stop},
    receive
        {'DOWN', Monitor, process, Pid, _} ->
            unlink(Pid),
            %% The function may have made this process trap exits.
            receive {'EXIT', Pid, _} -> ok after 0 -> ok end
    end.

-spec interrupt(pid(), pos_integer(), pid(), pos_integer()) -> ok.
interrupt(Context, Level, Runner, After) ->
    case py_contexts:interrupt_within(Context, Level, Runner) of
        true -> ok;
        false -> receive {?MODULE, stop} -> ok after After -> interrupt(Context, Level, Runner, min(2 * After, ?LATE)) end
    end.
