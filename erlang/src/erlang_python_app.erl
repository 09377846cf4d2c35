%% @private
-module(erlang_python_app).
-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid(), py_endpoint:endpoint()} | {error, term()}.
start(_Type, _Args) ->
    case py_settings:load() of
        {ok, #{socket := Socket} = Settings} ->
            case py_endpoint:create(Socket) of
                {ok, Endpoint, Path} -> start(Endpoint, Path, Settings);
                {error, Reason} -> {error, Reason}
            end;
        {error, Reason} ->
            {error, Reason}
    end.

-spec start(py_endpoint:endpoint(), string(), py_settings:settings()) -> {ok, pid(), py_endpoint:endpoint()} | {error, term()}.
start(Endpoint, Path, Settings) ->
    case py_sup:start_link(Path, Settings) of
        {ok, Pid} ->
            {ok, Pid, Endpoint};
        {error, Reason} ->
            ok = py_endpoint:abandon(Endpoint),
            {error, Reason}
    end.

-spec stop(py_endpoint:endpoint()) -> ok.
stop(Endpoint) ->
    ok = py_endpoint:remove(Endpoint),
    py_settings:unload().
