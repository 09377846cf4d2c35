%% @doc The top supervisor; also the owner of the tables, so that what they hold outlives every process below.
-module(py_sup).
-behaviour(supervisor).

-export([start_link/2]).
-export([init/1]).

-spec start_link(string(), py_settings:settings()) -> supervisor:startlink_ret().
start_link(Path, Settings) ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, {Path, Settings}).

%% Rest for one, in the order of who knows whom:
%% - the keeper of the shared table first, as Python may write once the node listens;
%% - then the handlers, because a connection outlives the coordinator that accepted it;
%% - then the coordinator: with it go the tokens that hosts and contexts were promised, so those below start anew;
%% - then the contexts, which hear from the hosts, last.
-spec init({string(), py_settings:settings()}) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init({Path, Settings}) ->
    ok = py_registry:new(),
    ok = py_state:new(),
    ok = py_stream:new(),
    Children = [
        #{id => py_state, start => {py_state, start_link, [Settings]}},
        #{id => py_handler_sup, start => {py_handler_sup, start_link, []}, type => supervisor},
        #{id => py_coordinator, start => {py_coordinator, start_link, [Path]}},
        #{id => py_contexts, start => {py_contexts, start_link, [Settings]}},
        #{id => py_host_sup, start => {py_host_sup, start_link, [Path, Settings]}, type => supervisor}
    ],
    {ok, {#{strategy => rest_for_one, intensity => 5, period => 10}, Children}}.
